import { Queue } from './queue.js';
import { type Item, privateCopy, RegionMessage } from './region-message.js';

/** Messages set aside at a time for who pulls them one by one. */
const PULL_MESSAGES = 256;
/** Bytes set aside while only requests or replies are wanted; beyond, these wait behind the messages in the ring. */
const ASIDE_BYTES = 1024 * 1024;

/** Takes the next message; nothing is the end. */
export type Waiter = (message: Item | undefined) => void;

/**
 * The messages that were received and not yet taken, in private memory, and who
 * takes them: pushed as they come, shown in the ring, awaited or pulled one by one.
 */
export class Intake {
  /** Takes each message as it comes. */
  push: ((message: Buffer) => void) | undefined;
  /** Takes each message where it is, in the ring, for the time of the call. */
  show: ((message: Buffer) => void) | undefined;
  /** Set while a caller takes what there is. */
  isPulling = false;
  readonly #messages = new Queue<Item>();
  #bytes = 0;
  readonly #waiters = new Queue<Waiter>();
  #thrown: { error: unknown } | undefined;

  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  /** Whether messages have a taker. */
  get isConsumed(): boolean {
    return this.push !== undefined || this.show !== undefined || this.isAwaited || this.isPulling;
  }

  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** Gives the next message to `waiter`, after those who asked before. */
  await(waiter: Waiter): void {
    this.#waiters.push(waiter);
  }

  /** Gives nothing to `waiter`, which waits. */
  forget(waiter: Waiter): void {
    this.#waiters.remove((other) => other === waiter);
  }

  /** @param isAwaited whether somebody waits for what may come behind messages that nobody takes */
  accepts(isAwaited: boolean): boolean {
    if (this.push !== undefined) return true;
    // A large message was put together here: it comes before those that are still in the ring.
    if (this.show !== undefined) return this.#thrown === undefined && this.isEmpty;
    if (this.isConsumed) return this.#messages.length < PULL_MESSAGES;
    return isAwaited && this.#bytes < ASIDE_BYTES;
  }

  add(message: Item): void {
    this.#messages.push(message);
    this.#bytes += message.length;
  }

  /** The next message in private memory. */
  take(): Buffer | undefined {
    const message = this.takeItem();
    return message && privateCopy(message);
  }

  takeItem(): Item | undefined {
    const message = this.#messages.shift();
    if (message !== undefined) this.#bytes -= message.length;
    return message;
  }

  /** Drops what was not taken. */
  clear(): void {
    for (const message of this.#messages.clear()) if (message instanceof RegionMessage) message.release();
    this.#bytes = 0;
  }

  /** Shows a message in the ring; an error is kept until the ring is in order. */
  readonly callShow = (message: Buffer): void => {
    try {
      this.show?.(message);
    } catch (error) {
      this.#thrown = { error };
    }
  };

  /** Throws what the application's function threw while it was shown a message. */
  rethrow(): void {
    const thrown = this.#thrown;
    if (thrown === undefined) return;
    this.#thrown = undefined;
    throw thrown.error;
  }

  /** Gives messages to who takes them. @returns whether there were any */
  deliver(): boolean {
    if (this.isEmpty) return false;
    const before = this.#messages.length;
    while (this.push !== undefined && !this.isEmpty) this.push(this.take() as Buffer);
    while (this.show !== undefined && !this.isEmpty) this.show(this.take() as Buffer);
    while (this.isAwaited && !this.isEmpty) this.#waiters.shift()?.(this.takeItem());
    return this.#messages.length < before;
  }

  /** No more comes: tells those who wait. */
  end(): void {
    for (const waiter of this.#waiters.clear()) waiter(undefined);
  }
}
