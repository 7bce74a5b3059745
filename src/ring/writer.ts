import { copyIn } from '../copy.js';
import { CONTROL, FRAME, RING } from '../layout.js';
import { load, subtract } from '../words.js';
import {
  available,
  hasReaderLeft,
  parkWriter,
  type Sleep,
  unparkWriter,
  waitWriter,
  wakeReader,
} from './control-word.js';
import type { RingMemory } from './ring-memory.js';

const WORD = RING.controlWord;
/** Bytes of two cache lines, at most, from where a frame starts. */
const WARM = 128;

/**
 * The writing end of a ring: fill, then publish.
 *
 * What is filled is seen by the reader only when published, in one atomic step
 * for as much as was filled (*publish*, pairs with *observe* in the reader).
 */
export class RingWriter {
  readonly #memory: RingMemory;
  readonly #bytes: Buffer;
  readonly #words: Int32Array;
  readonly #control: Int32Array;
  readonly #capacity: number;
  readonly #mask: number;
  readonly #notify: () => void;
  /** The most that one frame may take. */
  readonly maxFrame: number;
  #offset = 0;
  #position = 0;
  #free: number;
  #unpublished = 0;
  #hasReaderLeft = false;

  /** @param notify tells the reader's domain that its event is pending */
  constructor(memory: RingMemory, notify: () => void) {
    this.#memory = memory;
    this.#bytes = memory.bytes;
    this.#words = memory.words;
    this.#control = memory.control;
    this.#capacity = memory.capacity;
    this.#mask = memory.capacity - 1;
    this.#free = memory.capacity;
    this.#notify = notify;
    this.maxFrame = memory.capacity / FRAME.maxPartOfRing;
  }

  /** Where in the ring the next frame goes. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes that were filled since the ring began. */
  get position(): number {
    return this.#position;
  }

  /** Bytes that may be filled, as of the last look or publication. */
  get free(): number {
    return this.#free;
  }

  /** Bytes filled and not yet published. */
  get unpublished(): number {
    return this.#unpublished;
  }

  /**
   * Whether `length` more bytes may be filled, looking at the shared word only if need be.
   * @throws ERR_SHMLOOP_PROTOCOL when the word is out of range
   */
  hasRoom(length: number): boolean {
    return length <= this.#free || length <= this.#look();
  }

  /**
   * Whether the reader has given back all that was filled up to that {@link position}, as far as is known here.
   * @throws ERR_SHMLOOP_PROTOCOL when the word is out of range
   */
  hasRead(position: number): boolean {
    return this.hasRoom(this.#capacity - (this.#position - position));
  }

  /** Bytes that may be filled, after a look. @throws ERR_SHMLOOP_PROTOCOL when the word is out of range */
  observe(): number {
    return this.#look();
  }

  /** Whether the reader left the ring, as of the last look or publication. Only of a writer that never blocks. */
  get hasReaderLeft(): boolean {
    return this.#hasReaderLeft;
  }

  /** What a reader that left has read of the first unread frame's payload. The peer may have written anything. */
  get partRead(): number {
    return load(this.#control, RING.partRead);
  }

  /** A copy of the last `length` bytes published, of which the reader has taken none. */
  recall(length: number): Buffer {
    const start = (this.#offset - length) & this.#mask;
    return Buffer.from(this.#bytes.subarray(start, start + length));
  }

  /** A view of `length` bytes, `at` bytes after the offset, for the application to fill. */
  lend(at: number, length: number): Buffer {
    this.#memory.region.lend();
    const start = this.#offset + at;
    return this.#bytes.subarray(start, start + length);
  }

  /** Sets the two header words of the frame at the offset. Plain stores: published later, atomically. */
  fillHeader(first: number, second: number): void {
    const at = this.#offset >> 2;
    this.#words[at] = first;
    this.#words[at + 1] = second;
  }

  /** Copies bytes in, `at` bytes after the offset. */
  fill(at: number, source: Uint8Array, start: number, end: number): void {
    copyIn(this.#bytes, this.#offset + at, source, start, end);
  }

  /** Goes past a filled frame, which waits to be published. */
  advance(length: number): void {
    this.#offset = (this.#offset + length) & this.#mask;
    this.#position += length;
    this.#free -= length;
    this.#unpublished += length;
  }

  /**
   * Makes all that was filled visible, and wakes the reader if it sleeps.
   * @throws ERR_SHMLOOP_PROTOCOL when the word is out of range
   */
  publish(): void {
    const length = this.#unpublished;
    if (length === 0) return;
    this.#unpublished = 0;
    const before = subtract(this.#control, WORD, length);
    this.#free = available(before, this.#capacity, this.#free + length, this.#capacity) - length;
    this.#hasReaderLeft = hasReaderLeft(before);
    if (before & CONTROL.readerParked) wakeReader(this.#control, this.#notify);
  }

  /**
   * Takes the next frame's cache lines over from the reader, who has read them a lap ago, while this side
   * waits for an answer anyway.
   */
  warm(): void {
    if (this.#free < WARM) return;
    const at = this.#offset >> 2;
    this.#words[at] = 0;
    this.#words[at + 16] = 0;
  }

  /**
   * Parks until `length` bytes are free (at most {@link maxFrame}).
   * @returns false when they are free already
   */
  park(length: number, sleep: Sleep): boolean {
    this.publish();
    for (;;) {
      const seen = load(this.#control, WORD);
      if (length <= this.#note(seen)) return false;
      if (parkWriter(this.#control, seen, sleep)) return true;
    }
  }

  /** Takes the mark of {@link park} back, after a wait that ended for whatever reason. */
  unpark(): void {
    unparkWriter(this.#control);
  }

  /** Blocks this thread after a {@link park} on the futex. @returns false when the time was up */
  wait(milliseconds: number): boolean {
    return waitWriter(this.#control, milliseconds);
  }

  #look(): number {
    return this.#note(load(this.#control, WORD));
  }

  #note(seen: number): number {
    const unpublished = this.#unpublished;
    this.#hasReaderLeft = hasReaderLeft(seen);
    this.#free = available(seen, this.#capacity, this.#free + unpublished, this.#capacity) - unpublished;
    return this.#free;
  }
}
