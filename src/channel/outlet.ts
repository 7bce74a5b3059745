import { ShmloopError, systemError } from '../errors.js';
import type { Port } from '../link/index.js';
import { type FrameType, TYPE } from './framing.js';
import { Sender } from './sender.js';

const NOTHING = new Uint8Array(0);

export interface OutletOwner {
  /** The ring was broken. */
  finish(error: Error): void;
  /** There is something to do in the next turn. */
  wantMore(): void;
  /** The end is in the ring. */
  endSent(): void;
}

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

/** The sending half of an endpoint: what waits for room, who waits for that, and the end. */
export class Outlet {
  readonly sender: Sender | undefined;
  readonly #port: Port;
  readonly #owner: OutletOwner;
  readonly #waiters: Waiter[] = [];
  #end: Promise<void> | undefined;
  /** Something waits, or waited, for room, and the application was not told that it no longer does. */
  #isBehind = false;
  #isEndSent = false;
  /** Why nothing more can be sent, once the channel is closed. */
  #closed: Error | undefined;

  constructor(port: Port, owner: OutletOwner) {
    this.#port = port;
    this.#owner = owner;
    if (port.writer !== undefined) this.sender = new Sender(port.writer, (error) => owner.finish(error as Error));
  }

  get isEnding(): boolean {
    return this.#end !== undefined;
  }

  /** Whether nothing more is to be sent. */
  get isEnded(): boolean {
    return this.sender === undefined || this.#isEndSent;
  }

  /**
   * @returns as {@link Sender.send} does; false as well when the peer is gone, or broke the ring, and the
   *   message with it
   */
  send(type: FrameType, id: number, data: Uint8Array, done?: () => void): boolean {
    const { sender } = this;
    if (sender === undefined || this.#isGone()) return false;
    try {
      const sent = sender.send(type, id, data, done);
      if (!sent) this.#isBehind = true;
      if (this.#isBehind) this.#owner.wantMore();
      return sent;
    } catch (error) {
      this.#owner.finish(error as Error);
      return false;
    }
  }

  /** Whether what is sent now would lie behind what nobody may take, or cannot be sent. */
  isHeldUp(): boolean {
    const { sender } = this;
    if (sender === undefined || this.isEnding || this.#isGone()) return true;
    return this.#guarded(() => sender.hasUnread()) ?? true;
  }

  /** Sends a message and publishes it, if that can be done at once. @returns whether it was */
  trySendNow(data: Uint8Array): boolean {
    const { sender } = this;
    if (sender === undefined || this.#isGone()) return false;
    try {
      if (!sender.trySend(TYPE.message, 0, data)) return false;
    } catch (error) {
      this.#owner.finish(error as Error);
      return false;
    }
    sender.publish();
    return true;
  }

  /** As {@link Sender.reserve}; nothing as well when the peer is gone. */
  reserve(length: number): Buffer | undefined {
    const { sender } = this;
    if (sender === undefined || this.#isGone()) return undefined;
    const slot = this.#guarded(() => sender.reserve(length));
    if (slot) return slot;
    this.#isBehind = true;
    this.#owner.wantMore();
    return undefined;
  }

  /** Sends what was reserved; what came up meanwhile, a reply or the end, waited for this. */
  commit(length: number): void {
    this.sender?.commit(length);
    if (this.#isBehind) this.#owner.wantMore();
  }

  /** Gives a reservation up, if there is one. */
  cancelReservation(): void {
    if (this.sender?.isReserved) this.sender.cancel();
    if (this.#isBehind) this.#owner.wantMore();
  }

  /** Resolves when nothing waits for room any more. */
  drained(): Promise<void> {
    const broken = this.#whyBroken();
    if (broken !== undefined) return Promise.reject(broken);
    if (this.sender === undefined || this.sender.queued === 0) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Sends the end after all that was sent before. Resolves when it is in the ring. */
  end(): Promise<void> {
    this.#end ??= this.#sendEnd();
    return this.#end;
  }

  /** Puts what waits into the ring, and publishes it: for blocking calls. */
  flush(): void {
    if (this.#isGone()) return;
    this.#guarded(() => this.sender?.flush());
    this.sender?.publish();
  }

  /** Puts what waits into the ring, as far as there is room. @returns whether anything went */
  advance(): boolean {
    return this.#isBlocked() && (this.sender as Sender).flush();
  }

  /** Whether there is room for what waits. */
  hasRoom(): boolean {
    return this.#isBlocked() && (this.sender as Sender).isReady();
  }

  /** Arms the wake-up for when there is room for what waits. @returns false when there is */
  arm(): boolean {
    return !this.#isBlocked() || (this.sender as Sender).park('event');
  }

  /** Tells who waits that nothing waits any more. @returns whether that has just come about */
  catchUp(): boolean {
    if (!this.#isBehind || this.sender?.queued !== 0) return false;
    this.#isBehind = false;
    for (const { resolve } of this.#waiters.splice(0)) resolve();
    return true;
  }

  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** Nobody reads any more. @returns how many messages were still waiting */
  peerGone(): number {
    const lost = this.sender?.close() ?? 0;
    this.#rejectAll(peerIsGone());
    return lost;
  }

  close(reason: Error): void {
    this.#closed = reason;
    // Who still holds a reservation may write to its place: the ring must not serve another channel.
    if (this.sender?.isReserved) this.#port.isPeerRingLost = true;
    this.sender?.close();
    this.#rejectAll(reason);
  }

  #isGone(): boolean {
    return this.#closed !== undefined || this.#port.isPeerGone;
  }

  /** Why nothing can be sent any more, if so. */
  #whyBroken(): Error | undefined {
    return this.#closed ?? (this.#port.isPeerGone ? peerIsGone() : undefined);
  }

  #isBlocked(): boolean {
    const { sender } = this;
    return sender !== undefined && sender.queued > 0 && !sender.isReserved && !this.#isGone();
  }

  #sendEnd(): Promise<void> {
    const { sender } = this;
    if (sender === undefined) return Promise.resolve();
    const broken = this.#whyBroken();
    if (broken !== undefined) return Promise.reject(broken);
    return new Promise((resolve, reject) => {
      const unsent = { resolve: () => undefined, reject };
      const done = () => {
        this.#isEndSent = true;
        const waiter = this.#waiters.indexOf(unsent);
        if (waiter !== -1) this.#waiters.splice(waiter, 1);
        // Not within the sender's own step.
        queueMicrotask(() => {
          sender.publish();
          resolve();
          this.#owner.endSent();
        });
      };
      this.#waiters.push(unsent);
      this.send(TYPE.end, 0, NOTHING, done);
    });
  }

  #rejectAll(error: Error): void {
    for (const { reject } of this.#waiters.splice(0)) reject(error);
  }

  /** What the peer breaks in the ring it breaks for this channel. */
  #guarded<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      this.#owner.finish(error as Error);
      return undefined;
    }
  }
}

export function peerIsGone(): Error {
  return systemError('EPIPE', 'write', 'the peer is gone');
}

export function tooLarge(length: number, limit: number): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_MESSAGE_SIZE', `a message of ${length} bytes; the peer takes at most ${limit}`);
}
