/** A process under measurement, as the harness sees it. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { MAIN } from './calls.mjs';

const CALL_LIMIT_MS = 60_000;
const EXIT_LIMIT_MS = 5_000;
const STDERR_KEPT = 4_000;

/** @type {Set<PeerProcess>} */
const living = new Set();

/** Ends all that are left: for the way out after an error or a signal. */
export function killPeers() {
  for (const peer of living) peer.kill();
}

/**
 * @typedef {{ ready: Promise<void>, result: Promise<any> }} Reply
 * @typedef {{ ready: () => void, progress: (value: any) => void, resolve: (value: any) => void,
 *   reject: (error: Error) => void }} Waiting
 */

export class PeerProcess {
  #title;
  #child;
  /** @type {Map<number, Waiting>} */
  #waiting = new Map();
  #nextId = 1;
  #stderr = '';
  /** Why there will be no more answers. @type {Error | undefined} */
  #end;

  /**
   * @param {URL} script that answers calls
   * @param {readonly string[]} parameters its command line
   * @param {string} title for error messages
   * @param {{ execArgv?: string[], env?: NodeJS.ProcessEnv }} [options] of Node itself
   */
  constructor(script, parameters, title, options = {}) {
    this.#title = title;
    this.#child = fork(fileURLToPath(script), [...parameters], {
      ...options,
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    this.#child.on('message', (answer) => this.#onAnswer(/** @type {import('./calls.mjs').Answer} */ (answer)));
    this.#child.on('error', (error) => this.#fail(error));
    this.#child.on('exit', (code, signal) => {
      living.delete(this);
      this.#fail(new Error(`${this.#title} ended with ${signal ?? `status ${code}`}\n${this.#stderr}`.trim()));
    });
    living.add(this);
  }

  /** @returns {number} */
  get pid() {
    return this.#child.pid ?? 0;
  }

  /**
   * @param {string} method
   * @param {unknown} [parameters]
   * @param {{ to?: string, limitMs?: number, onProgress?: (value: any) => void }} [options]
   * @returns {Reply} `ready` when the peer says so, `result` at the end
   */
  call(method, parameters, { to = MAIN, limitMs = CALL_LIMIT_MS, onProgress = () => {} } = {}) {
    const id = this.#nextId++;
    const ready = deferred();
    const result = deferred();
    const timer = setTimeout(
      () => waiting.reject(new Error(`${this.#title} did not answer ${method} within ${limitMs} ms`)),
      limitMs,
    );
    const done = () => {
      clearTimeout(timer);
      this.#waiting.delete(id);
    };
    /** @type {Waiting} */
    const waiting = {
      ready: ready.resolve,
      progress: onProgress,
      resolve: (value) => {
        done();
        ready.resolve();
        result.resolve(value);
      },
      reject: (error) => {
        done();
        ready.reject(error);
        result.reject(error);
      },
    };
    this.#waiting.set(id, waiting);
    if (this.#end !== undefined) waiting.reject(this.#end);
    else if (this.#child.connected) this.#child.send({ id, to, method, parameters });
    return { ready: ready.promise, result: result.promise };
  }

  /** Lets go of the process, which must end by itself; ends it otherwise and says so. */
  async end() {
    if (!living.has(this)) return;
    const exited = once(this.#child, 'exit', { signal: AbortSignal.timeout(EXIT_LIMIT_MS) });
    if (this.#child.connected) this.#child.disconnect();
    try {
      await exited;
    } catch {
      this.kill();
      throw new Error(`${this.#title} closed everything and yet did not exit`);
    }
  }

  kill() {
    living.delete(this);
    this.#child.kill('SIGKILL');
  }

  /** @param {import('./calls.mjs').Answer} answer */
  #onAnswer({ id, event, value }) {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    if (event === 'ready') waiting.ready();
    else if (event === 'progress') waiting.progress(value);
    else if (event === 'result') waiting.resolve(value);
    else waiting.reject(new Error(`${this.#title}: ${value}`));
  }

  /** @param {Error} error */
  #fail(error) {
    this.#end ??= error;
    for (const waiting of [...this.#waiting.values()]) waiting.reject(error);
  }
}

/** A promise to settle from outside, that nobody has to look at. */
function deferred() {
  /** @type {(value?: any) => void} */
  let resolve = () => {};
  /** @type {(error: Error) => void} */
  let reject = () => {};
  const promise = new Promise((resolveIt, rejectIt) => {
    resolve = resolveIt;
    reject = rejectIt;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}
