import { inspect } from 'node:util';
import { codeOf } from '../errors.js';

/** Handlers that run at a time; further requests wait in the ring. */
const MAX_RUNNING = 1024;

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
  readonly #running = new Map<number, RequestContext>();
  #waiting: { id: number; data: Buffer }[] = [];

  constructor(answer: Answer) {
    this.#answer = answer;
  }

  /** Requests that have no answer yet. */
  get running(): number {
    return this.#running.size + this.#waiting.length;
  }

  /** Whether requests wait for {@link run}. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  get hasRoom(): boolean {
    return this.running < MAX_RUNNING;
  }

  /** Takes a request while the ring is being read; {@link run} starts its handler. */
  add(id: number, data: Buffer): void {
    this.#waiting.push({ id, data });
  }

  /** Starts the handlers of the requests that were added. @returns whether there were any */
  run(): boolean {
    const requests = this.#waiting;
    if (requests.length === 0) return false;
    this.#waiting = [];
    for (const { id, data } of requests) void this.#handle(id, data);
    return true;
  }

  cancel(id: number): void {
    this.#waiting = this.#waiting.filter((request) => request.id !== id);
    this.#running.get(id)?.abort();
  }

  abortAll(): void {
    this.#waiting = [];
    for (const context of this.#running.values()) context.abort();
  }

  async #handle(id: number, data: Buffer): Promise<void> {
    const context = new RequestContext();
    this.#running.set(id, context);
    try {
      if (this.handler === undefined) throw new Error('this channel handles no requests');
      const reply = (await this.handler(data, context)) ?? '';
      this.#running.delete(id);
      if (!context.isAborted) this.#answer.reply(id, reply);
    } catch (error) {
      this.#running.delete(id);
      if (!context.isAborted) this.#answer.fail(id, describe(error));
    } finally {
      this.#answer.handled();
    }
  }
}

/** Whatever was thrown: anything, not always an error. */
function describe(error: unknown): Buffer {
  const thrown = error instanceof Error ? error : { name: 'Error', message: asText(error) };
  const code: unknown = codeOf(error);
  const isPlain = typeof code === 'string' || typeof code === 'number';
  return Buffer.from(JSON.stringify({ name: thrown.name, message: thrown.message, code: isPlain ? code : undefined }));
}

function asText(thrown: unknown): string {
  return typeof thrown === 'string' ? thrown : inspect(thrown);
}
