import { domain, type Publishable } from '../event/index.js';
import { FRAME, frameLength } from '../layout.js';
import type { RingWriter, Sleep } from '../ring/index.js';
import { type FrameType, LARGE_LENGTH, TYPE, typeAndId } from './framing.js';
import { Queue } from './queue.js';

/** Bytes published in one step: more per atomic step, or sooner in the reader's cache. */
const BATCH = 16 * 1024;
/** Bytes that a message which waits takes besides its own: empty ones count, too. */
const ENTRY = 128;

interface Outgoing {
  readonly type: FrameType;
  readonly id: number;
  readonly data: Uint8Array;
  /** Bytes of a large message that are in the ring; -1 before its announcement is. */
  sent: number;
  readonly done: (() => void) | undefined;
}

/**
 * Puts messages into the ring, in order, and keeps by reference those that have
 * no room yet. A message that does not fit into one frame goes in parts.
 */
export class Sender implements Publishable {
  readonly #writer: RingWriter;
  readonly #fail: (error: unknown) => void;
  readonly #maxPayload: number;
  readonly #queue = new Queue<Outgoing>();
  #queuedBytes = 0;
  readonly #announcement = new Uint8Array(LARGE_LENGTH);
  /** Whether the domain will publish: it is told once, however often a blocking caller publishes by itself. */
  #isListed = false;
  #isClosed = false;
  /** Room reserved by {@link reserve}, or -1. */
  #reserved = -1;
  /** Where in the ring the last frame ended that is not a release. */
  #messagesEnd = 0;
  /** Bytes of the frame that a refused reservation asked for. */
  #wanted = 0;

  /** @param fail is told when the peer broke the ring */
  constructor(writer: RingWriter, fail: (error: unknown) => void) {
    this.#writer = writer;
    this.#fail = fail;
    this.#maxPayload = writer.maxFrame - FRAME.headerLength;
  }

  /** Messages and reservations that wait for room. */
  get queued(): number {
    return this.#queue.length + (this.#wanted > 0 ? 1 : 0);
  }

  /** Bytes that wait for room. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get isReserved(): boolean {
    return this.#reserved >= 0;
  }

  /** Whether more than releases is unread, or waits. @throws ERR_SHMLOOP_PROTOCOL when the ring is broken */
  hasUnread(): boolean {
    return !this.#isFree() || !this.#writer.hasRead(this.#messagesEnd);
  }

  /** The longest message that goes as one frame, in bytes. */
  get maxPayload(): number {
    return this.#maxPayload;
  }

  /**
   * Sends a message. @returns true when all of it is in the ring, and `data` the
   * caller's again; false when it waits, by reference
   */
  send(type: FrameType, id: number, data: Uint8Array, done?: () => void): boolean {
    if (this.trySend(type, id, data)) {
      done?.();
      return true;
    }
    this.#queue.push({ type, id, data, sent: -1, done });
    this.#queuedBytes += ENTRY + data.length;
    this.flush();
    return this.#queue.length === 0;
  }

  /** Sends a message if that can be done at once. @returns whether it was */
  trySend(type: FrameType, id: number, data: Uint8Array): boolean {
    const length = data.length;
    if (!this.#isFree() || length > this.#maxPayload || !this.#writer.hasRoom(frameLength(length))) return false;
    this.#put(type, id, data, 0, length);
    return true;
  }

  /** Puts what waits into the ring, as far as there is room. @returns whether anything went */
  flush(): boolean {
    let progress = false;
    for (;;) {
      const next = this.#queue.peek();
      if (next === undefined || this.isReserved) break;
      if (!this.#putSome(next)) break;
      progress = true;
      if (next.sent < next.data.length) continue;
      this.#queue.shift();
      this.#queuedBytes -= ENTRY + next.data.length;
      next.done?.();
    }
    if (this.#queue.length === 0 && this.#wanted > 0 && this.#writer.hasRoom(this.#wanted)) {
      this.#wanted = 0;
      progress = true;
    }
    return progress;
  }

  publishListed(): void {
    this.#isListed = false;
    this.publish();
  }

  publish(): void {
    if (this.#isClosed) return;
    try {
      this.#writer.publish();
      this.#writer.warm();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Arms the wake-up for when there is room for what waits. @returns false when there is room */
  park(sleep: Sleep): boolean {
    return this.#writer.park(this.#needed(), sleep);
  }

  unpark(): void {
    this.#writer.unpark();
  }

  /** Blocks after a {@link park} on the futex. @returns false when the time was up */
  wait(milliseconds: number): boolean {
    return this.#writer.wait(milliseconds);
  }

  /** Whether there is room for the next frame of what waits. */
  isReady(): boolean {
    return this.#writer.hasRoom(this.#needed());
  }

  /** A view of the ring to be filled by the caller, or nothing when there is no room. */
  reserve(length: number): Buffer | undefined {
    if (this.#queue.length > 0 || !this.#writer.hasRoom(frameLength(length))) {
      this.#wanted = frameLength(length);
      return undefined;
    }
    this.#wanted = 0;
    this.#reserved = length;
    return this.#writer.lend(FRAME.headerLength, length);
  }

  /** Sends the first `length` bytes of what was reserved. */
  commit(length: number): void {
    this.#reserved = -1;
    this.#writer.fillHeader(typeAndId(TYPE.message, 0), length);
    this.#advance(TYPE.message, length);
  }

  get reserved(): number {
    return this.#reserved;
  }

  /** Takes back the queued message that is told by its `done`. @returns false when some of it is in the ring */
  withdraw(done: () => void): boolean {
    const withdrawn = this.#queue.remove((queued) => queued.done === done && queued.sent < 0);
    if (withdrawn === undefined) return false;
    this.#queuedBytes -= ENTRY + withdrawn.data.length;
    return true;
  }

  /** Gives a reservation up: its place is the next frame's. */
  cancel(): void {
    this.#reserved = -1;
    this.#wanted = 0;
  }

  /** Publishes what is in the ring, and leaves it alone from now on. @returns how many messages were still waiting */
  close(): number {
    this.publish();
    this.#isClosed = true;
    this.#wanted = 0;
    return this.#queue.clear().length;
  }

  /** Whether the next frame may follow the last: nothing waits, and no reservation holds its place. */
  #isFree(): boolean {
    return this.#queue.length === 0 && !this.isReserved;
  }

  /** One frame of a queued message. @returns whether there was room for it */
  #putSome(next: Outgoing): boolean {
    const { type, id, data } = next;
    if (!this.#writer.hasRoom(this.#needed())) return false;
    if (data.length <= this.#maxPayload) {
      this.#put(type, id, data, 0, data.length);
      next.sent = data.length;
    } else if (next.sent < 0) {
      this.#announce(type, data.length);
      this.#put(TYPE.large, id, this.#announcement, 0, LARGE_LENGTH);
      next.sent = 0;
    } else {
      const end = Math.min(data.length, next.sent + this.#maxPayload);
      this.#put(TYPE.part, id, data, next.sent, end);
      next.sent = end;
    }
    return true;
  }

  #announce(type: FrameType, length: number): void {
    const view = new DataView(this.#announcement.buffer);
    view.setUint32(0, type, true);
    view.setUint32(4, length, true);
  }

  /** Bytes of the next frame of what waits. */
  #needed(): number {
    const next = this.#queue.peek();
    if (next === undefined) return this.#wanted || FRAME.headerLength;
    if (next.data.length <= this.#maxPayload) return frameLength(next.data.length);
    if (next.sent < 0) return frameLength(LARGE_LENGTH);
    return frameLength(Math.min(this.#maxPayload, next.data.length - next.sent));
  }

  #put(type: FrameType, id: number, data: Uint8Array, start: number, end: number): void {
    this.#writer.fillHeader(typeAndId(type, id), end - start);
    if (end > start) this.#writer.fill(FRAME.headerLength, data, start, end);
    this.#advance(type, end - start);
  }

  #advance(type: FrameType, length: number): void {
    this.#writer.advance(frameLength(length));
    if (type !== TYPE.release) this.#messagesEnd = this.#writer.position;
    if (this.#writer.unpublished >= BATCH) {
      this.publish();
    } else if (!this.#isListed) {
      this.#isListed = true;
      domain.publishSoon(this);
    }
  }
}
