import { inspect } from 'node:util';
import { codeOf, ShmloopError } from '../errors.js';

/** Handlers that run at a time; further requests wait in the ring. */
const MAX_RUNNING = 1024;
/** Bytes of their requests, likewise. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * Answers a request.
 * @param request private memory, the handler's to keep
 * @param context its `signal` is aborted when the reply is no longer wanted
 * @returns the reply; nothing is an empty one. An error goes to who asked, as the cause of ERR_SHMLOOP_REMOTE
 */
export type RequestHandler = (request: Buffer, context: { readonly signal: AbortSignal }) => Reply | Promise<Reply>;

// `void`, so that a handler need not return anything.
// biome-ignore lint/suspicious/noConfusingVoidType: undefined would demand a return
export type Reply = Uint8Array | string | void;

export interface Answer {
  reply(id: number, data: Uint8Array | string): void;
  fail(id: number, failure: Buffer): void;
  /** A handler is through, whether its answer was wanted or not. */
  handled(): void;
}

/** Most handlers never ask for the signal, and making one takes longer than a round trip. */
class RequestContext {
  #controller: AbortController | undefined;
  isAborted = false;

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.isAborted) this.#controller.abort();
    return this.#controller.signal;
  }

  abort(): void {
    this.isAborted = true;
    this.#controller?.abort();
  }
}

/** Runs the application's handler for each request, and sends what it returns. */
export class Responder {
  handler: RequestHandler | undefined;
  readonly #answer: Answer;
  /** The requests that have no answer yet. */
  readonly #running = new Map<number, RequestContext>();
  /** What is to be done when the ring has been read. */
  #arrived: (() => void)[] = [];
  #bytes = 0;

  constructor(answer: Answer) {
    this.#answer = answer;
  }

  /** Requests that have no answer yet. */
  get running(): number {
    return this.#running.size;
  }

  /** Whether there is something to {@link run}. */
  get isWaiting(): boolean {
    return this.#arrived.length > 0;
  }

  get hasRoom(): boolean {
    return this.#running.size < MAX_RUNNING && this.#bytes < MAX_BYTES;
  }

  /**
   * Takes a request while the ring is being read; {@link run} starts its handler.
   * @throws ERR_SHMLOOP_PROTOCOL when one of this id has no answer yet
   */
  add(id: number, data: Buffer): void {
    if (this.#running.has(id)) throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', `the peer sent request ${id} twice`);
    const context = new RequestContext();
    this.#running.set(id, context);
    this.#bytes += data.length;
    this.#arrived.push(() => void this.#handle(id, data, context));
  }

  /** Takes a cancellation likewise. */
  cancel(id: number): void {
    const context = this.#running.get(id);
    if (context !== undefined) this.#arrived.push(() => context.abort());
  }

  /** Starts the handlers of the requests that were added, and aborts those that were cancelled. @returns whether there were any */
  run(): boolean {
    const arrived = this.#arrived;
    if (arrived.length === 0) return false;
    this.#arrived = [];
    for (const act of arrived) act();
    return true;
  }

  abortAll(): void {
    this.#arrived = [];
    for (const context of this.#running.values()) context.abort();
  }

  async #handle(id: number, data: Buffer, context: RequestContext): Promise<void> {
    const { length } = data;
    try {
      if (this.handler === undefined) throw new Error('this channel handles no requests');
      const reply = (await this.handler(data, context)) ?? '';
      this.#done(id, length);
      if (!context.isAborted) this.#answer.reply(id, reply);
    } catch (error) {
      this.#done(id, length);
      if (!context.isAborted) this.#answer.fail(id, describe(error));
    } finally {
      this.#answer.handled();
    }
  }

  #done(id: number, length: number): void {
    if (this.#running.delete(id)) this.#bytes -= length;
  }
}

function describe(error: unknown): Buffer {
  try {
    return plain(error);
  } catch {
    // What was thrown cannot even be looked at.
    return plain('an error that cannot be described');
  }
}

function plain(error: unknown): Buffer {
  const thrown = error instanceof Error ? error : { name: 'Error', message: asText(error) };
  const code: unknown = codeOf(error);
  const isPlain = typeof code === 'string' || typeof code === 'number';
  return Buffer.from(JSON.stringify({ name: thrown.name, message: thrown.message, code: isPlain ? code : undefined }));
}

function asText(thrown: unknown): string {
  return typeof thrown === 'string' ? thrown : inspect(thrown);
}
