import { ShmloopError } from '../errors.js';
import { FRAME, frameLength, MAX_PARTS_HEAD } from '../layout.js';
import type { RingReader, Sleep } from '../ring/index.js';
import { CARRIERS, idOf, LARGE_LENGTH, TYPE, typeOf } from './framing.js';
import { allocate, carve, trim, wordsOf } from './slab.js';

/** Bytes taken from the ring per turn: other channels, timers and I/O have theirs, too. */
const TURN_BYTES = 256 * 1024;
/** Frames up to here are copied many at a time, and larger ones each into a buffer of its own. */
const SMALL_FRAME = 4096;
/** Up to here a loop over words beats a call. */
const WORD_COPY = 256;
/** Bytes copied at a time. */
const SPAN = 16 * 1024;

/** What becomes of what was received. It is called while the ring is being read, so it must run no code of the application. */
export interface Sink {
  /** Whether a frame of this type is wanted now; if not, it stays in the ring. */
  accepts(type: number): boolean;
  /** Takes a whole message, in private memory. */
  receive(type: number, id: number, data: Buffer): void;
  /** Takes a message as a view of the ring, valid during the call, instead of `receive`; where it is wanted. */
  view: ((data: Buffer) => void) | undefined;
}

interface Large {
  readonly type: number;
  readonly id: number;
  readonly data: Buffer;
  received: number;
}

/**
 * Takes frames out of the ring, checks them, and puts large messages together.
 *
 * Nothing but this class and a `view` sees bytes that the peer can still change:
 * small frames are copied a span at a time and then parsed in private memory.
 */
export class Receiver {
  readonly #reader: RingReader;
  readonly #sink: Sink;
  readonly #maxMessageSize: number;
  readonly #releaseAt: number;
  #large: Large | undefined;
  /** The type of the next frame, if nobody wanted it at the last look. */
  #stalledBy: number | undefined;
  /** Whether messages may be received into memory that the event loop gives back. */
  isPooled = true;
  #isEnded = false;
  #isClosed = false;

  constructor(reader: RingReader, sink: Sink, maxMessageSize: number) {
    this.#reader = reader;
    this.#sink = sink;
    this.#maxMessageSize = maxMessageSize;
    this.#releaseAt = reader.maxFrame >> 1;
  }

  /** Whether the next frame waits for somebody to want it. */
  get isStalled(): boolean {
    return this.#stalledBy !== undefined;
  }

  /** Whether the end was received: nothing follows. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /**
   * Takes what is there and wanted, up to a bound.
   * @returns whether there was anything
   * @throws ERR_SHMLOOP_PROTOCOL, ERR_SHMLOOP_MESSAGE_SIZE
   */
  fill(): boolean {
    const reader = this.#reader;
    let left = TURN_BYTES;
    this.#stalledBy = undefined;
    while (left > 0 && !this.#isEnded && !this.#isClosed) {
      if (reader.unread === 0 && reader.observe() === 0) break;
      const took = this.#takeFrames();
      if (took === 0) break;
      left -= took;
      // A view may have closed the channel, and the ring may be another's by now.
      if (reader.taken >= this.#releaseAt && !this.#isClosed) reader.release();
    }
    if (!this.#isClosed) reader.release();
    return left < TURN_BYTES;
  }

  /**
   * Takes the next message if it is small, and the only one there is: for who pulls one by one, and is
   * faster than its peer.
   * @throws as {@link fill}
   */
  takeOnly(): Buffer | undefined {
    const reader = this.#reader;
    if (reader.unread === 0 && reader.observe() === 0) {
      // Not right after the message: the answer to it comes first, and the ring is all but free.
      reader.release();
      return undefined;
    }
    if (this.#large !== undefined || this.#isEnded) return undefined;
    const first = reader.headerWord(0);
    const length = reader.headerWord(1);
    if (typeOf(first) !== TYPE.message || length < 0 || length > SMALL_FRAME) return undefined;
    if (frameLength(length) !== reader.unread) return undefined;
    this.#checkMessage(TYPE.message, length);
    this.#stalledBy = undefined;
    const message = Buffer.allocUnsafe(length);
    if (length <= WORD_COPY) reader.copyWords(FRAME.headerLength, length, wordsOf(message), message.byteOffset);
    else reader.copyOut(FRAME.headerLength, length, message, 0);
    reader.take(reader.unread);
    if (reader.taken >= this.#releaseAt) reader.release();
    return message;
  }

  /** Leaves the ring alone from now on. */
  close(): void {
    this.#isClosed = true;
  }

  /** Whether there is something that is wanted. */
  isReady(): boolean {
    return !this.#isHeldUp() && !this.#isEnded && this.#reader.observe() > 0;
  }

  /** Whether everything published was taken. */
  isEmpty(): boolean {
    return this.#reader.observe() === 0;
  }

  /** Arms the wake-up for when there is more. @returns false when there is */
  park(sleep: Sleep): boolean {
    if (this.#isHeldUp() || this.#isEnded) return true;
    return this.#reader.park(sleep);
  }

  unpark(): void {
    this.#reader.unpark();
  }

  /** Blocks after a {@link park} on the futex. @returns false when the time was up */
  wait(milliseconds: number): boolean {
    // Not parked then: whatever came could not be taken either.
    if (this.#isHeldUp()) return this.#reader.rest(milliseconds);
    return this.#reader.wait(milliseconds);
  }

  /** Whether the next frame is still unwanted: what came before it may have been delivered since. */
  #isHeldUp(): boolean {
    return this.#stalledBy !== undefined && !this.#sink.accepts(this.#stalledBy);
  }

  /** @returns the bytes taken; 0 when the next frame is not wanted now */
  #takeFrames(): number {
    // Plain reads of the header, once: pairs with the writer's publish, seen by `observe`.
    const first = this.#reader.headerWord(0);
    const length = this.#reader.headerWord(1);
    const size = this.#checkFrame(length, this.#reader.unread);
    if (!this.#wants(typeOf(first), this.#reader.headerWord(2))) return 0;
    if (this.#sink.view !== undefined && typeOf(first) === TYPE.message) return this.#takeView(length, size);
    return size <= SMALL_FRAME ? this.#takeSpan() : this.#takeOne(first, length, size);
  }

  /** Copies a span of small frames, then parses the copy. */
  #takeSpan(): number {
    const reader = this.#reader;
    const span = Math.min(reader.unread, SPAN);
    const { buffer, words, start } = carve(span);
    if (span <= WORD_COPY) reader.copyWords(0, span, words, start);
    else reader.copyOut(0, span, buffer, start);
    let at = 0;
    while (at + FRAME.headerLength <= span) {
      const first = words[(start + at) >> 2] as number;
      const length = words[(start + at + 4) >> 2] as number;
      const size = this.#checkFrame(length, reader.unread - at);
      if (size > span - at || this.#isEnded || !this.#wants(typeOf(first), words[(start + at + 8) >> 2])) break;
      if (at > 0 && typeOf(first) === TYPE.message && this.#sink.view !== undefined) break;
      const from = start + at + FRAME.headerLength;
      at += size;
      this.#dispatch(typeOf(first), idOf(first), buffer, from, length);
    }
    trim(at);
    if (at === 0 && !this.isStalled) throw broken('a header that changed while it was read');
    reader.take(at);
    return at;
  }

  #takeOne(first: number, length: number, size: number): number {
    const large = this.#large;
    if (typeOf(first) === TYPE.part && large !== undefined) {
      if (length > large.data.length - large.received) throw broken('parts of more than was announced');
      this.#reader.copyOut(FRAME.headerLength, length, large.data, large.received);
      this.#reader.take(size);
      this.#gotPart(large, length);
    } else {
      this.#checkMessage(typeOf(first), length);
      const data = allocate(length, this.isPooled);
      this.#reader.copyOut(FRAME.headerLength, length, data, 0);
      this.#reader.take(size);
      this.#dispatch(typeOf(first), idOf(first), data, 0, length);
    }
    return size;
  }

  #takeView(length: number, size: number): number {
    this.#checkMessage(TYPE.message, length);
    const view = this.#reader.lend(FRAME.headerLength, length);
    this.#reader.take(size);
    this.#sink.view?.(view);
    return size;
  }

  #dispatch(type: number, id: number, buffer: Buffer, from: number, length: number): void {
    if (this.#large !== undefined && type !== TYPE.part) throw broken('a message within a large one');
    switch (type) {
      case TYPE.message:
      case TYPE.request:
      case TYPE.reply:
      case TYPE.failure:
      case TYPE.region:
        this.#checkMessage(type, length);
        return this.#sink.receive(type, id, buffer.subarray(from, from + length));
      case TYPE.cancel:
      case TYPE.release:
        return this.#sink.receive(type, id, buffer.subarray(from, from));
      case TYPE.large:
        return this.#announced(id, buffer.subarray(from, from + length));
      case TYPE.part:
        return this.#copyPart(buffer, from, length);
      case TYPE.end:
        this.#isEnded = true;
        return;
      default:
        throw broken(`a frame of type ${type}`);
    }
  }

  #announced(id: number, announcement: Buffer): void {
    if (announcement.length !== LARGE_LENGTH) throw broken('an announcement of another length');
    const type = announcement.readUInt32LE(0);
    const length = announcement.readUInt32LE(4);
    if (!CARRIERS.includes(type)) throw broken(`a large message of type ${type}`);
    this.#checkMessage(type, length);
    this.#large = { type, id, data: allocate(length, this.isPooled), received: 0 };
  }

  #copyPart(buffer: Buffer, from: number, length: number): void {
    const large = this.#large;
    if (large === undefined || length === 0 || length > large.data.length - large.received) {
      throw broken('parts of more than was announced');
    }
    buffer.copy(large.data, large.received, from, from + length);
    this.#gotPart(large, length);
  }

  #gotPart(large: Large, length: number): void {
    large.received += length;
    if (large.received < large.data.length) return;
    this.#large = undefined;
    this.#sink.receive(large.type, large.id, large.data);
  }

  /** @param announced the type that a `large` frame announces: what counts is who wants that */
  #wants(type: number, announced: number | undefined): boolean {
    const wanted = type === TYPE.large ? (announced as number) : type;
    if (type === TYPE.part || this.#sink.accepts(wanted)) return true;
    this.#stalledBy = wanted;
    return false;
  }

  /** Frames are published whole: one that goes past what is there is none. @returns its size */
  #checkFrame(length: number, unread: number): number {
    // First the length: its size is computed in 32 bits, and would turn negative.
    if (length < 0 || length > this.#reader.maxFrame) throw broken(`a frame of ${length} bytes`);
    const size = frameLength(length);
    if (size > unread || size > this.#reader.maxFrame) throw broken(`a frame of ${length} bytes`);
    return size;
  }

  /** What says where the parts of a message are does not count: its own length is checked when that has been read. */
  #checkMessage(type: number, length: number): void {
    const most = this.#maxMessageSize + (type === TYPE.region ? MAX_PARTS_HEAD : 0);
    if (length <= most) return;
    throw new ShmloopError('ERR_SHMLOOP_MESSAGE_SIZE', `a message of ${length} bytes; at most ${most}`);
  }
}

function broken(what: string): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_PROTOCOL', `the peer sent ${what}`);
}
