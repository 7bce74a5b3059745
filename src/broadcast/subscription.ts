import { Queue } from '../channel/queue.js';
import { ShmloopError, systemError } from '../errors.js';
import { domain } from '../event/index.js';
import type { Credentials, Port, PortHandler } from '../link/index.js';
import { ListenedEmitter } from '../listened-emitter.js';
import type { Words } from '../words.js';
import type { BroadcastMemory } from './broadcast-memory.js';
import { type Ending, ReaderCursor } from './cursor.js';
import type { Policy, Terms } from './options.js';
import { BroadcastReader } from './reader.js';

/** Messages, and bytes of them, that are delivered in a turn: others have theirs. */
const BATCH = 64;
const BATCH_BYTES = 256 * 1024;
/** Who pulls message by message without a turn of the event loop in between would starve all others. */
const PULLS_A_TURN = 64;

/** Events of a {@link Subscription} and their arguments. */
export interface SubscriptionEventMap {
  /** A message, in private memory that is the listener's to keep. */
  message: [message: Buffer];
  /** So many messages were overwritten before they were read; emitted right before the one that follows them. */
  lost: [count: number];
  /** It is over; the error says why, if the publisher did not close. */
  close: [error?: Error];
}

interface Waiter {
  resolve(result: IteratorResult<Buffer>): void;
  reject(error: Error): void;
}

const DONE = { value: undefined, done: true } as const;

/**
 * One reader of a broadcast region, at its own pace. Messages are taken in one way: by `'message'` listeners, or by
 * iteration. While nobody takes them they stay in the region: with `drop-oldest` until they are overwritten, which is
 * counted, with `block` until the publisher expels the subscription. When the publisher closes or dies, what is left is
 * taken first. It keeps the process alive until it is closed, or `unref()`ed.
 */
export class Subscription
  extends ListenedEmitter<SubscriptionEventMap>
  implements AsyncDisposable, AsyncIterable<Buffer>, PortHandler
{
  readonly #port: Port;
  readonly #memory: BroadcastMemory;
  readonly #reader: BroadcastReader;
  readonly #terms: Terms;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.#finish(this.#signal?.reason);
  readonly #waiters = new Queue<Waiter>();
  /** Gone when the publisher is, and its memory with it. */
  #cursor: ReaderCursor | undefined;
  #hasIterator = false;
  #pulls = 0;
  #toldLost = 0;
  #gone: { ending: Ending; error: Error | undefined } | undefined;
  #isClosed = false;
  #error: Error | undefined;

  /**
   * Made by `subscribe`.
   * @param cursor the words that it shares with its publisher alone
   */
  constructor(port: Port, memory: BroadcastMemory, cursor: Words, terms: Terms, signal: AbortSignal | undefined) {
    super();
    this.#port = port;
    this.#memory = memory;
    this.#terms = terms;
    this.#reader = new BroadcastReader(memory, terms.start, terms.sequence);
    this.#cursor = new ReaderCursor(cursor, terms.start);
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    port.handler = this;
    if (port.isPeerGone) this.peerGone();
    port.activate();
  }

  /** Who publishes, by the kernel's word. */
  get peer(): Credentials {
    return this.#port.link.peer;
  }

  /** What happens when the region is full, as the publisher has it. */
  get policy(): Policy {
    return this.#terms.policy;
  }

  /** Bytes of the region. */
  get capacity(): number {
    return this.#terms.capacity;
  }

  /** How many messages were lost so far; with `block` none ever. */
  get lost(): number {
    return this.#toldLost;
  }

  /** Whether it is over: the `close` event came, or is about to. */
  get closed(): boolean {
    return this.#isClosed;
  }

  /**
   * Iterates over the messages; done when the publisher has closed. Leaving the loop leaves the subscription open.
   * One that is over can be iterated again, to the same end.
   * @throws ERR_SHMLOOP_BUSY when messages are taken by listeners; ERR_SHMLOOP_EXPELLED; ECONNRESET when the publisher
   *   died; the signal's reason
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    if (this.#isListened || this.#isIterated) throw busy();
    this.#hasIterator = true;
    let isLeft = false;
    const iterator: AsyncIterableIterator<Buffer> = {
      next: () => (isLeft ? Promise.resolve(DONE) : this.#next()),
      return: async () => {
        if (!isLeft) this.#leave();
        isLeft = true;
        return DONE;
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /** Ends the subscription at once. Resolves with the `close` event. */
  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    const closed = new Promise<void>((resolve) => this.once('close', () => resolve()));
    this.#finish();
    return closed;
  }

  /** As {@link close}: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Keeps the process alive, as it does from the start. */
  ref(): this {
    this.#port.ref();
    return this;
  }

  /** Lets the process exit while the subscription is open. */
  unref(): this {
    this.#port.unref();
    return this;
  }

  // --- PortHandler

  /** @internal */
  poll(): boolean {
    this.#pulls = 0;
    let count = 0;
    let bytes = 0;
    try {
      while (this.#isWanted && count < BATCH && bytes < BATCH_BYTES) {
        const message = this.#read();
        if (message === undefined) break;
        count++;
        bytes += message.length;
        this.#give(message);
      }
    } finally {
      // Also when a listener threw: what was taken is the writer's.
      this.#release();
    }
    this.#settle();
    return count > 0;
  }

  /** @internal */
  arm(): boolean {
    if (!this.#isWanted) return true;
    // A listener that threw kept it from the end.
    if (this.#gone !== undefined) return false;
    this.#cursor?.park();
    if (!this.#hasMore()) return true;
    this.#cursor?.unpark();
    return false;
  }

  /** @internal */
  peerGone(error?: Error): void {
    this.#gone = { ending: this.#cursor?.ending ?? 'none', error };
    this.#cursor = undefined;
  }

  // --- ListenedEmitter

  protected override listened(event: string | symbol): void {
    if (event !== 'message') return;
    if (this.#isIterated) throw busy();
    this.#wantMore();
  }

  // --- private

  get #isListened(): boolean {
    return this.listenerCount('message') > 0;
  }

  /** One that is over gives its messages to nobody: it cannot be in use. */
  get #isIterated(): boolean {
    return this.#hasIterator && !this.#isClosed;
  }

  get #isWanted(): boolean {
    return !this.#isClosed && (this.#waiters.length > 0 || this.#isListened);
  }

  /** The next one to take messages gets all of them: what still waits for one gets none. */
  #leave(): void {
    this.#hasIterator = false;
    for (const { resolve } of this.#waiters.clear()) resolve(DONE);
  }

  #wantMore(): void {
    if (!this.#isClosed) this.#port.activate();
  }

  #next(): Promise<IteratorResult<Buffer>> {
    const isInTurn = this.#waiters.length === 0 && this.#pulls < PULLS_A_TURN && !this.#isClosed;
    const message = isInTurn ? this.#read() : undefined;
    if (message !== undefined) {
      this.#pulls++;
      this.#release();
      this.#tellLost();
      return Promise.resolve({ value: message, done: false });
    }
    if (this.#isClosed) return this.#error === undefined ? Promise.resolve(DONE) : Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#wantMore();
    });
  }

  #read(): Buffer | undefined {
    try {
      const message = this.#reader.next();
      // With `block` the publisher goes on only without this subscription.
      if (this.policy === 'block' && this.#reader.wasOvertaken) throw expelled();
      return message;
    } catch (error) {
      this.#finish(error as Error);
      return undefined;
    }
  }

  #hasMore(): boolean {
    try {
      return this.#reader.hasMore();
    } catch (error) {
      this.#finish(error as Error);
      return false;
    }
  }

  #give(message: Buffer): void {
    this.#tellLost();
    // Who was told may have closed it.
    if (this.#isClosed) return;
    const waiter = this.#waiters.shift();
    if (waiter === undefined) {
      this.emit('message', message);
      return;
    }
    domain.yieldSoon();
    waiter.resolve({ value: message, done: false });
  }

  #tellLost(): void {
    const count = this.#reader.lost - this.#toldLost;
    if (count === 0) return;
    this.#toldLost += count;
    try {
      this.emit('lost', count);
    } catch (error) {
      // The listener's own affair, but not that of the message that follows.
      process.nextTick(() => {
        throw error;
      });
    }
  }

  /** Tells the writer how far it has read, if the writer wants to know. */
  #release(): void {
    if (this.policy === 'drop-oldest' || this.#cursor === undefined) return;
    if (this.#cursor.release(this.#reader.position)) this.#port.link.notify(this.#port.peerPort);
  }

  /** It is over once the publisher is gone and all that it published was taken. */
  #settle(): void {
    if (this.#gone === undefined || this.#isClosed) return;
    const { ending, error } = this.#gone;
    // Nobody takes what the publisher may have written over by now.
    if (ending === 'expelled' && !this.#isListened && !this.#hasIterator) return this.#finish(expelled());
    if (this.#hasMore()) return;
    if (ending === 'closed') this.#finish();
    else if (ending === 'expelled') this.#finish(expelled());
    else this.#finish(error ?? systemError('ECONNRESET', 'read', 'the publisher is gone'));
  }

  #finish(error?: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#error = error;
    this.#cursor = undefined;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#port.release();
    this.#memory.region.retire();
    for (const { resolve, reject } of this.#waiters.clear()) {
      if (error === undefined) resolve(DONE);
      else reject(error);
    }
    // Later, as Node's own do: never from within the call that closed it.
    process.nextTick(() => (error === undefined ? this.emit('close') : this.emit('close', error)));
  }
}

function busy(): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_BUSY', 'messages of this subscription are taken in another way');
}

function expelled(): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_EXPELLED', 'the publisher expelled this subscription: it was too slow');
}
