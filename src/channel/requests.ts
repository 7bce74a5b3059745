import { checkOptions, checkSignal, ShmloopError } from '../errors.js';
import { FRAME } from '../layout.js';
import { limited, type Settler } from '../settler.js';
import { checkTimeout } from './limits.js';
import { Window } from './window.js';

/** Options of a request. */
export interface RequestOptions {
  /** Gives the request up; the handler's own signal is aborted, too. */
  signal?: AbortSignal;
  /** Milliseconds after which the request is given up. Default: none. */
  timeout?: number;
}

/** How requests go to the other end. */
export interface RequestWire {
  send(id: number, data: Uint8Array): void;
  /** The reply is not wanted any more. */
  cancel(id: number): void;
}

/** Requests that wait for their replies, or for their turn to be sent. */
export class Requests {
  readonly #wire: RequestWire;
  readonly #pending = new Map<number, Settler<Buffer>>();
  /** Those that the other end has and did not answer, whether given up here or not. */
  readonly #unanswered = new Window<{ readonly length: number }>();
  /** Those that find no room there, in order. */
  readonly #waiting = new Map<number, Uint8Array>();
  readonly #onSent: (() => void)[] = [];
  #nextId = 0;
  /** Why none is answered any more. */
  #broken: Error | undefined;

  constructor(wire: RequestWire) {
    this.#wire = wire;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** @throws ERR_SHMLOOP_INVALID_ARGUMENT; the signal's reason */
  add(data: Uint8Array, options: RequestOptions): Promise<Buffer> {
    checkOptions(options);
    const { signal, timeout } = options;
    if (timeout !== undefined) checkTimeout(timeout);
    checkSignal(signal);
    signal?.throwIfAborted();
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    const id = this.#takeId();
    return new Promise((resolve, reject) => {
      const timedOut = () => new ShmloopError('ERR_SHMLOOP_TIMEOUT', `no reply within ${timeout} ms`);
      const giveUp = (error: Error) => this.#giveUp(id, error);
      this.#pending.set(id, limited({ resolve, reject }, { signal, timeout, timedOut }, giveUp));
      if (this.#waiting.size === 0 && this.#unanswered.fits(data.length)) this.#send(id, data);
      else this.#waiting.set(id, data);
    });
  }

  resolve(id: number, reply: Buffer): void {
    // Perhaps nobody waits for it: given up while it was on its way.
    this.#take(id)?.resolve(reply);
    this.#answered(id);
  }

  /** @param failure what the other end says of its handler's error, as JSON */
  reject(id: number, failure: Buffer): void {
    this.#take(id)?.reject(remoteError(failure));
    this.#answered(id);
  }

  /** For good. */
  rejectAll(error: Error): void {
    this.#broken ??= error;
    const all = [...this.#pending.values()];
    this.#pending.clear();
    this.#waiting.clear();
    this.#tellSent();
    for (const { reject } of all) reject(error);
  }

  /** Resolves when none waits to be sent; nothing when none does now. */
  allSent(): Promise<void> | undefined {
    if (this.#waiting.size === 0) return undefined;
    return new Promise((resolve) => this.#onSent.push(resolve));
  }

  #giveUp(id: number, error: Error): void {
    if (this.#waiting.delete(id)) this.#sendOn();
    else this.#wire.cancel(id);
    this.#take(id)?.reject(error);
  }

  #answered(id: number): void {
    this.#unanswered.delete(id);
    this.#sendOn();
  }

  #sendOn(): void {
    for (const [id, data] of this.#waiting) {
      if (!this.#unanswered.fits(data.length)) return;
      this.#waiting.delete(id);
      this.#send(id, data);
    }
    this.#tellSent();
  }

  #send(id: number, data: Uint8Array): void {
    // Not the bytes themselves: once sent they are the caller's again.
    this.#unanswered.add(id, { length: data.length });
    try {
      this.#wire.send(id, data);
    } catch (error) {
      this.#unanswered.delete(id);
      this.#take(id)?.reject(error as Error);
    }
  }

  #tellSent(): void {
    if (this.#onSent.length === 0) return;
    for (const tell of this.#onSent.splice(0)) tell();
  }

  #take(id: number): Settler<Buffer> | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #takeId(): number {
    do this.#nextId = (this.#nextId + 1) & FRAME.maxId;
    while (this.#pending.has(this.#nextId) || this.#unanswered.has(this.#nextId));
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
