import { ShmloopError } from '../errors.js';
import { FRAME } from '../layout.js';
import { invalid } from './limits.js';

export interface RequestOptions {
  /** Gives the request up; the handler's own signal is aborted, too. */
  signal?: AbortSignal;
  /** Milliseconds after which the request is given up. Default: none. */
  timeout?: number;
}

interface Pending {
  resolve(reply: Buffer): void;
  reject(error: Error): void;
}

/** Requests that wait for their replies. */
export class Requests {
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;

  get size(): number {
    return this.#pending.size;
  }

  /**
   * @param send puts the request on its way
   * @param cancel tells the other end that the reply is not wanted any more
   */
  add(options: RequestOptions, send: (id: number) => void, cancel: (id: number) => void): Promise<Buffer> {
    const { signal, timeout } = options;
    if (timeout !== undefined && !(timeout >= 0)) throw invalid(`timeout is in milliseconds, not ${timeout}`);
    signal?.throwIfAborted();
    const id = this.#takeId();
    return new Promise((resolve, reject) => {
      const pending: Pending = { resolve, reject };
      this.#pending.set(id, pending);
      if (signal !== undefined || timeout !== undefined) this.#limit(id, pending, signal, timeout, cancel);
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

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #takeId(): number {
    do this.#nextId = (this.#nextId + 1) & FRAME.maxId;
    while (this.#pending.has(this.#nextId));
    return this.#nextId;
  }

  /** Wraps what settles the request, so that timer and listener go with it. */
  #limit(
    id: number,
    pending: Pending,
    signal: AbortSignal | undefined,
    timeout: number | undefined,
    cancel: (id: number) => void,
  ): void {
    const giveUp = (error: Error) => {
      if (this.#pending.get(id) !== pending) return;
      cancel(id);
      this.#take(id)?.reject(error);
    };
    const onAbort = () => giveUp(signal?.reason as Error);
    const onTimeout = () => giveUp(new ShmloopError('ERR_SHMLOOP_TIMEOUT', `no reply within ${timeout} ms`));
    const timer = timeout === undefined ? undefined : setTimeout(onTimeout, timeout);
    signal?.addEventListener('abort', onAbort, { once: true });
    const { resolve, reject } = pending;
    const settling = <T>(settle: (value: T) => void) => {
      return (value: T) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        settle(value);
      };
    };
    pending.resolve = settling(resolve);
    pending.reject = settling(reject);
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
