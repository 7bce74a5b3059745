import { checkOptions, checkSignal, ShmloopError } from '../errors.js';
import { FRAME } from '../layout.js';
import { limited, type Settler } from '../settler.js';
import { checkTimeout } from './limits.js';

/** Options of a request. */
export interface RequestOptions {
  /** Gives the request up; the handler's own signal is aborted, too. */
  signal?: AbortSignal;
  /** Milliseconds after which the request is given up. Default: none. */
  timeout?: number;
}

/** Requests that wait for their replies. */
export class Requests {
  readonly #pending = new Map<number, Settler<Buffer>>();
  #nextId = 0;

  get size(): number {
    return this.#pending.size;
  }

  /**
   * @param send puts the request on its way
   * @param cancel tells the other end that the reply is not wanted any more
   */
  add(options: RequestOptions, send: (id: number) => void, cancel: (id: number) => void): Promise<Buffer> {
    checkOptions(options);
    const { signal, timeout } = options;
    if (timeout !== undefined) checkTimeout(timeout);
    checkSignal(signal);
    signal?.throwIfAborted();
    const id = this.#takeId();
    return new Promise((resolve, reject) => {
      const timedOut = () => new ShmloopError('ERR_SHMLOOP_TIMEOUT', `no reply within ${timeout} ms`);
      const giveUp = (error: Error) => {
        cancel(id);
        this.#take(id)?.reject(error);
      };
      this.#pending.set(id, limited({ resolve, reject }, { signal, timeout, timedOut }, giveUp));
      try {
        send(id);
      } catch (error) {
        this.#take(id)?.reject(error as Error);
      }
    });
  }

  resolve(id: number, reply: Buffer): void {
    // Nobody waits for it: given up while it was on its way.
    this.#take(id)?.resolve(reply);
  }

  /** @param failure what the other end says of its handler's error, as JSON */
  reject(id: number, failure: Buffer): void {
    this.#take(id)?.reject(remoteError(failure));
  }

  rejectAll(error: Error): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of all) reject(error);
  }

  #take(id: number): Settler<Buffer> | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #takeId(): number {
    do this.#nextId = (this.#nextId + 1) & FRAME.maxId;
    while (this.#pending.has(this.#nextId));
    return this.#nextId;
  }
}

function remoteError(failure: Buffer): ShmloopError {
  const { name, message, code } = parse(failure);
  const cause = Object.assign(new Error(String(message)), { name: String(name), code });
  return new ShmloopError('ERR_SHMLOOP_REMOTE', `the handler at the other end threw: ${message}`, { cause });
}

function parse(failure: Buffer): { name?: unknown; message?: unknown; code?: unknown } {
  try {
    return Object(JSON.parse(failure.toString()));
  } catch {
    return { message: 'an error that could not be read' };
  }
}
