import { inspect } from 'node:util';
import { codeOf, ShmloopError } from '../errors.js';
import { Queue } from './queue.js';
import { Window } from './window.js';

const NOTHING = Buffer.alloc(0);

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
  /** Whether one more may be owed to a peer that perhaps does not read. */
  hasRoom(): boolean;
  reply(id: number, data: Uint8Array | string): void;
  fail(id: number, failure: Buffer): void;
  /** A handler is through, whether its answer was wanted or not. */
  handled(): void;
}

interface Arrived {
  readonly id: number;
  readonly data: Buffer;
  readonly context: RequestContext;
}

/** Most handlers never ask for the signal, and making one takes longer than a round trip. */
class RequestContext {
  /** Of the request, in bytes. */
  readonly length: number;
  #controller: AbortController | undefined;
  isAborted = false;
  isCancelled = false;

  constructor(length: number) {
    this.length = length;
  }

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

/** Runs the application's handler for each request, and sends what it returns: one answer to each. */
export class Responder {
  handler: RequestHandler | undefined;
  readonly #answer: Answer;
  /** The requests that have no answer yet. */
  readonly #running = new Window<RequestContext>();
  /** Those whose handlers have not started. */
  readonly #arrived = new Queue<Arrived>();
  /** Cancellations, to be told when the ring has been read. */
  #cancelled: RequestContext[] = [];

  constructor(answer: Answer) {
    this.#answer = answer;
  }

  /** Requests that have no answer yet. */
  get running(): number {
    return this.#running.size;
  }

  /** Whether there is something to {@link run}. */
  get isWaiting(): boolean {
    return this.#cancelled.length > 0 || this.#canStart();
  }

  /**
   * Takes a request while the ring is being read; {@link run} starts its handler.
   * @throws ERR_SHMLOOP_PROTOCOL when one of this id has no answer yet, or the peer has asked for more than it may
   */
  add(id: number, data: Buffer): void {
    if (this.#running.has(id)) throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', `the peer sent request ${id} twice`);
    if (!this.#running.fits(data.length))
      throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', 'the peer sent too many requests');
    const context = new RequestContext(data.length);
    this.#running.add(id, context);
    this.#arrived.push({ id, data, context });
  }

  /** Takes a cancellation likewise. */
  cancel(id: number): void {
    const context = this.#running.get(id);
    if (context === undefined || context.isCancelled) return;
    context.isCancelled = true;
    this.#cancelled.push(context);
  }

  /** Aborts the handlers that were cancelled, and starts those of the requests that were added. @returns whether there were any */
  run(): boolean {
    if (!this.isWaiting) return false;
    const cancelled = this.#cancelled;
    this.#cancelled = [];
    for (const context of cancelled) context.abort();
    while (this.#canStart()) void this.#handle(this.#arrived.shift() as Arrived);
    return true;
  }

  abortAll(): void {
    for (const { id } of this.#arrived.clear()) this.#running.delete(id);
    this.#cancelled = [];
    for (const context of this.#running.values()) context.abort();
  }

  #canStart(): boolean {
    return this.#arrived.length > 0 && this.#answer.hasRoom();
  }

  async #handle({ id, data, context }: Arrived): Promise<void> {
    try {
      if (this.handler === undefined) throw new Error('this channel handles no requests');
      const reply = (context.isAborted ? undefined : await this.handler(data, context)) ?? '';
      this.#running.delete(id);
      this.#answer.reply(id, context.isAborted ? NOTHING : reply);
    } catch (error) {
      this.#running.delete(id);
      this.#answer.fail(id, context.isAborted ? NOTHING : describe(error));
    } finally {
      this.#answer.handled();
    }
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
