import { ShmloopError } from '../errors.js';
import { FRAME, frameLength, RING } from '../layout.js';
import type { RingReader } from '../ring/index.js';
import { OFFSET_LENGTH, TYPE } from './frames.js';
import { type Status, UV_ECONNRESET, UV_EOF } from './internals.js';

/** The most that is delivered at once: twice what libuv reads, which halves the cost of all that a stream does with it. */
const MAX_READ = 128 * 1024;
/**
 * A writer who sleeps is woken when the ring holds no more than this, which is read while it wakes up. Not before: each
 * time the kernel may let it take this side's CPU.
 */
const LEAD = 2 * 1024 * 1024;
/** The most that goes with a socket to its next owner: a ring, and what TCP may hold before it. */
const MAX_REST = 2 * RING.maxCapacity;
const HEADER = FRAME.headerLength;

export interface IncomingOwner {
  /** Memory for at most `length` bytes to be delivered. */
  room(length: number): Uint8Array;
  /** Delivers the first `length` bytes of what {@link room} gave. */
  deliver(memory: Uint8Array, length: number): void;
  /** Delivers the end: {@link UV_EOF}, or an error. */
  deliverEnd(status: Status): void;
  /** The peer is sure of this side. */
  peerConfirmed(): void;
  /** Whether TCP is to be read now. */
  readTcp(isReading: boolean): void;
  /** The peer broke the protocol. */
  broken(error: Error): void;
  /** Whether the peer left without reading what was sent to it, of which TCP would have told by a reset. */
  isUnreadByPeer(): boolean;
  /** Whether it read a part of what was written at once, and not all. */
  isWriteCut(): boolean;
}

/**
 * The reading side of one direction of a connection: TCP up to the byte where the writer switched, then the
 * ring, and back. The end is TCP's own: it is delivered once the ring is empty.
 */
export class Incoming {
  readonly #owner: IncomingOwner;
  readonly #reader: RingReader;
  readonly #offset = Buffer.alloc(OFFSET_LENGTH);
  /** Bytes that are free when a writer who sleeps is woken. */
  readonly #enough: number;
  #via: 'tcp' | 'ring' = 'tcp';
  /** The byte of TCP from which on the ring has the rest; -1 when the writer did not say. */
  #until = -1;
  #isWanted = false;
  #isConfirmed = false;
  #isPeerGone = false;
  /** Bytes of TCP that were delivered. */
  #tcpPosition: number;
  /** What TCP brought although the ring is not empty yet: it comes after. */
  #early: Uint8Array | undefined;
  #tcpEnd: Status = 0;
  #hasEnded = false;
  #isOver = false;
  #isBroken = false;
  /** Bytes of the present frame: delivered, and not. */
  #done = 0;
  #left = 0;
  #consumed = 0;
  /** Bytes of the stream that came through the ring. */
  ringBytes = 0;

  /** @param tcpPosition bytes that TCP has brought since the connection began */
  constructor(owner: IncomingOwner, reader: RingReader, tcpPosition: number) {
    this.#owner = owner;
    this.#reader = reader;
    this.#enough = reader.capacity - Math.min(LEAD, reader.capacity / 2);
    this.#tcpPosition = tcpPosition;
  }

  /** Whether somebody waits for what comes: nothing does after the end. */
  get isWanted(): boolean {
    return this.#isWanted && !this.#isOver;
  }

  /** Whether TCP has ended, whether that was delivered or not. */
  get hasTcpEnded(): boolean {
    return this.#tcpEnd !== 0 && (this.#isPeerGone || !this.#isReset());
  }

  start(): void {
    this.#isWanted = true;
    this.#watch();
  }

  stop(): void {
    this.#isWanted = false;
    this.#owner.readTcp(false);
  }

  /** Bytes that TCP brought and that were not delivered, since the ring is not empty yet. */
  get earlyBytes(): number {
    return this.#early?.length ?? 0;
  }

  /** Whether there is data that was not delivered. */
  hasUnread(): boolean {
    return this.#early !== undefined || this.#goOn();
  }

  /** Delivers what there is, once. @returns whether there was anything */
  poll(): boolean {
    if (this.#isOver || (!this.#isWanted && this.#isConfirmed)) return false;
    const before = this.#consumed;
    if (this.#goOn() && this.#isWanted) this.#deliverRing();
    else if (this.#via === 'tcp' && this.#early !== undefined && this.#isWanted) this.#deliverEarly();
    else if (this.#isWanted && this.#isEndDue()) this.#finish();
    else {
      this.#release();
      return this.#consumed !== before;
    }
    return true;
  }

  /** Parks until the peer publishes. @returns false when there is something */
  arm(): boolean {
    if (this.#isOver || (!this.#isWanted && this.#isConfirmed)) return true;
    if (this.#isWanted && (this.#isEndDue() || (this.#via === 'tcp' && this.#early !== undefined))) return false;
    // TCP comes first, and wakes by itself, unless it has brought all that comes first.
    if (this.#via === 'tcp' && this.#until >= 0) return this.#tcpPosition < this.#until;
    return this.#guard(() => (this.#isPeerGone ? this.#reader.observe() === 0 : this.#reader.park('event')), true);
  }

  /**
   * TCP brought bytes. Some of them may come after what is in the ring: who sent those said so there before.
   * @param rest copies those after the first so many
   * @returns how many are to be delivered now
   */
  tcpArrived(length: number, rest: (from: number) => Uint8Array): number {
    this.#goOn();
    let now = length;
    if (this.#via === 'ring') now = 0;
    else if (this.#until >= 0) now = Math.min(length, this.#until - this.#tcpPosition);
    this.#tcpPosition += now;
    if (now < length) {
      this.#early = rest(now);
      this.#owner.readTcp(false);
    }
    return now;
  }

  /** What arrived was delivered: the ring may be next. @returns whether there is something to do */
  tcpDelivered(): boolean {
    if (this.#until < 0) return false;
    this.#goOn();
    return this.#via === 'ring';
  }

  tcpEnded(status: Status): void {
    this.#tcpEnd = status;
  }

  /** The ring is not to be looked at any more: all that is left is the error. */
  fail(status: Status): void {
    this.#isBroken = true;
    this.#tcpEnd = status;
  }

  /** Nothing more comes into the ring. */
  peerGone(): void {
    this.#isPeerGone = true;
  }

  /**
   * Leaves the ring: what is unread is the writer's, to send over TCP.
   * @param readNow reads up to so many bytes that TCP has here. Given, all that has come and is to be read before
   * what TCP will bring is taken first
   * @returns that, in order
   */
  leave(readNow?: (length: number) => Uint8Array): Uint8Array[] {
    const rest: Uint8Array[] = [];
    const hasLeft = () => this.#reader.leave(this.#early === undefined ? this.#done : -1);
    let length = 0;
    do {
      // A peer that goes on sending must not hold this thread.
      while (readNow !== undefined && length < MAX_REST) {
        const next = this.#takeNext(readNow);
        if (next.length === 0) break;
        rest.push(next);
        length += next.length;
      }
    } while (!this.#guard(hasLeft, true));
    // A delivery may be under way, and go on after this.
    this.#isOver = true;
    return rest;
  }

  #takeNext(readNow: (length: number) => Uint8Array): Uint8Array {
    if (this.#goOn()) {
      const memory = Buffer.allocUnsafe(this.#left);
      this.#reader.copyOut(HEADER + this.#done, this.#left, memory, 0);
      this.#take(this.#done + this.#left);
      this.#left = 0;
      return memory;
    }
    if (this.#via === 'ring') return Buffer.alloc(0);
    const before = Math.min(MAX_READ, Math.max(0, this.#until - this.#tcpPosition));
    const next = this.#early === undefined ? readNow(before) : this.#takeEarly();
    this.#tcpPosition += next.length;
    return next;
  }

  #watch(): void {
    this.#owner.readTcp(this.#isWanted && this.#early === undefined && this.#tcpEnd === 0);
  }

  #deliverEarly(): void {
    const memory = this.#owner.room(this.#earlyTurn());
    const next = this.#takeEarly(memory.length);
    memory.set(next);
    this.#tcpPosition += next.length;
    this.#owner.deliver(memory, next.length);
    if (!this.#isOver) this.#watch();
  }

  /** Of the bytes that TCP brought ahead of their turn those whose turn it is now; at most so many. */
  #takeEarly(atMost = this.earlyBytes): Uint8Array {
    const early = this.#early as Uint8Array;
    const turn = Math.min(atMost, this.#earlyTurn());
    this.#early = turn < early.length ? early.subarray(turn) : undefined;
    return early.subarray(0, turn);
  }

  #earlyTurn(): number {
    return this.#until < 0 ? this.earlyBytes : Math.min(this.earlyBytes, this.#until - this.#tcpPosition);
  }

  #deliverRing(): void {
    const reader = this.#reader;
    const behind = reader.unread - frameLength(this.#done + this.#left);
    const memory = this.#owner.room(Math.min(this.#left + behind, MAX_READ));
    let length = 0;
    while (length < memory.length && this.#goOn()) {
      const part = Math.min(this.#left, memory.length - length);
      reader.copyOut(HEADER + this.#done, part, memory, length);
      this.#done += part;
      this.#left -= part;
      length += part;
      if (this.#left === 0) this.#take(this.#done);
    }
    this.#release();
    this.ringBytes += length;
    this.#owner.deliver(memory, length);
  }

  /** A peer that ended before it was sure of this side says so in the ring when it is, if it lives. */
  #isEndDue(): boolean {
    return this.#tcpEnd !== 0 && (this.#isPeerGone || !this.#isReset());
  }

  /** Whether TCP would have been reset: the peer went and left something unread. */
  #isReset(): boolean {
    if (this.#tcpEnd !== UV_EOF) return false;
    // It may have gone between two frames of one write, and found nothing unread.
    return this.#hasEnded ? this.#isPeerGone && this.#owner.isWriteCut() : this.#owner.isUnreadByPeer();
  }

  /** TCP has ended, and there is nothing before it. */
  #finish(): void {
    this.#isOver = true;
    const isCut = this.#via === 'tcp' && this.#until > this.#tcpPosition;
    const isReset = this.#isReset();
    this.#owner.deliverEnd(isCut || isReset ? UV_ECONNRESET : this.#tcpEnd);
  }

  /** Goes past all frames that are not data. @returns whether the next one is, and its turn has come */
  #goOn(): boolean {
    return this.#guard(() => this.#findData(), false);
  }

  #release(): void {
    this.#guard(() => this.#reader.release(this.#enough), undefined);
  }

  #guard<T>(step: () => T, otherwise: T): T {
    if (this.#isBroken) return otherwise;
    try {
      return step();
    } catch (error) {
      this.#owner.broken(error as Error);
      return otherwise;
    }
  }

  #findData(): boolean {
    for (;;) {
      if (this.#until >= 0 && !this.#reachUntil()) return false;
      if (this.#left > 0) return true;
      if (this.#reader.unread < HEADER && this.#reader.observe() < HEADER) return false;
      const type = this.#reader.headerWord(0) & FRAME.typeMask;
      const length = this.#reader.headerWord(1);
      const longest = type === TYPE.skip ? this.#reader.unread : this.#reader.maxFrame;
      if (length < 0 || length > longest || frameLength(length) > this.#reader.unread) {
        throw broken(`a frame of ${length} bytes`);
      }
      if (type !== TYPE.data) {
        this.#control(type, length);
      } else {
        if (this.#via !== 'ring') throw broken('data in the ring before its turn');
        if (length === 0) throw broken('a frame without data');
        this.#left = length;
        this.#done = 0;
        return true;
      }
    }
  }

  #reachUntil(): boolean {
    const at = this.#tcpPosition;
    if (at > this.#until) throw broken('TCP goes on where the ring should');
    if (at < this.#until) return false;
    this.#until = -1;
    this.#via = 'ring';
    return true;
  }

  #control(type: number, length: number): void {
    if (type === TYPE.fromTcp && this.#via === 'tcp' && length === OFFSET_LENGTH) {
      this.#reader.copyOut(HEADER, length, this.#offset, 0);
      const until = this.#offset.readDoubleLE();
      if (!Number.isSafeInteger(until) || until < this.#tcpPosition) throw broken(`a switch at byte ${until}`);
      this.#until = until;
    } else if (type === TYPE.toTcp && this.#via === 'ring' && length === 0) {
      this.#via = 'tcp';
    } else if (type === TYPE.end && length === 0) {
      this.#hasEnded = true;
    } else if (type === TYPE.skip) {
      // The writer goes back to the beginning of the ring.
    } else if (type === TYPE.go && length === 0 && !this.#isConfirmed) {
      this.#isConfirmed = true;
      this.#owner.peerConfirmed();
    } else {
      throw broken(`frame ${type} of ${length} bytes out of turn`);
    }
    this.#take(length);
  }

  #take(payload: number): void {
    const length = frameLength(payload);
    this.#reader.take(length);
    this.#consumed += length;
    this.#done = 0;
  }
}

function broken(what: string): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_PROTOCOL', `the peer sent ${what}`);
}
