import { copyOut } from '../copy.js';
import { CONTROL, FRAME, RING } from '../layout.js';
import { add, load, store } from '../words.js';
import {
  available,
  leaveReader,
  parkReader,
  rest,
  type Sleep,
  unparkReader,
  waitReader,
  wakeWriter,
} from './control-word.js';
import type { RingMemory } from './ring-memory.js';

const WORD = RING.controlWord;
/** Pages are taken from the kernel in such steps, ahead of the reader. */
const POPULATE_STEP = 64 * 1024;

/**
 * The reading end of a ring, and the owner of its memory: observe, take, release.
 *
 * What is taken stays untouched by an honest writer until it is released, in one
 * atomic step for as much as was taken (*release*, pairs with *look* in the writer).
 */
export class RingReader {
  readonly #memory: RingMemory;
  readonly #bytes: Buffer;
  readonly #words: Int32Array;
  readonly #control: Int32Array;
  readonly #capacity: number;
  readonly #mask: number;
  readonly #notify: () => void;
  /** The most that one frame may take, in bytes. */
  readonly maxFrame: number;
  #offset = 0;
  /** Published and not yet taken, as of the last look. */
  #unread = 0;
  #taken = 0;
  #populated = 0;

  /** @param notify tells the writer's domain that its event is pending */
  constructor(memory: RingMemory, notify: () => void) {
    this.#memory = memory;
    this.#bytes = memory.bytes;
    this.#words = memory.words;
    this.#control = memory.control;
    this.#capacity = memory.capacity;
    this.#mask = memory.capacity - 1;
    this.#notify = notify;
    this.maxFrame = memory.capacity / FRAME.maxPartOfRing;
  }

  /** Makes a ring empty: before its writer gets to know it, or when the last one let go of it. */
  static format(memory: RingMemory): void {
    // Plain: nobody else uses it now.
    memory.control.fill(0);
    store(memory.control, WORD, memory.capacity);
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** Bytes known to be there to be taken, without a look. */
  get unread(): number {
    return this.#unread;
  }

  /**
   * A view of `length` bytes, `at` bytes after the offset, for the application to read: the writer can
   * change it at any time, and an honest one does so only after {@link release}.
   */
  lend(at: number, length: number): Buffer {
    this.#memory.region.lend();
    const start = this.#offset + at;
    return this.#bytes.subarray(start, start + length);
  }

  /** A word of the next frame's header, read once. */
  headerWord(index: number): number {
    return this.#words[(this.#offset >> 2) + index] as number;
  }

  /**
   * Looks how many bytes are there to be taken.
   * @throws ERR_SHMLOOP_PROTOCOL when the word is out of range
   */
  observe(): number {
    this.#note(load(this.#control, WORD));
    return this.#unread;
  }

  /** Copies bytes out, from `at` bytes after the offset. */
  copyOut(at: number, length: number, target: Uint8Array, targetOffset: number): void {
    copyOut(this.#bytes, this.#offset + at, length, target, targetOffset);
  }

  /**
   * The same word by word, which beats a call for a few hundred bytes. `at` and `targetOffset` are multiples
   * of 4, and up to 3 bytes more than `length` are written.
   */
  copyWords(at: number, length: number, target: Int32Array, targetOffset: number): void {
    const source = this.#words;
    const from = (this.#offset + at) >> 2;
    const to = targetOffset >> 2;
    const count = (length + 3) >> 2;
    for (let i = 0; i < count; i++) target[to + i] = source[from + i] as number;
  }

  /** Goes past bytes, which stay the reader's until released. */
  take(length: number): void {
    if (this.#populated < this.#capacity) this.#populateAhead();
    this.#offset = (this.#offset + length) & this.#mask;
    this.#unread -= length;
    this.#taken += length;
  }

  /** Bytes taken and not yet released. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Gives all that was taken back, and wakes the writer if it sleeps and has enough to go on with: never one
   * wake-up a message.
   * @param enough bytes. More than {@link maxFrame} only where nothing taken is held for long
   * @throws ERR_SHMLOOP_PROTOCOL when the word is out of range
   */
  release(enough = this.maxFrame): void {
    const length = this.#taken;
    if (length === 0) return;
    this.#taken = 0;
    const before = add(this.#control, WORD, length);
    const free = length + available(before, this.#capacity, 0, this.#capacity - length - this.#unread);
    if (before & CONTROL.writerParked && free >= enough) wakeWriter(this.#control, this.#notify);
  }

  /**
   * Leaves the ring for good: what is unread is the writer's to deliver otherwise. Only where the writer never blocks.
   * @param partRead bytes that were read of the first unread frame's payload; -1 when the rest is of no use without
   * what this side has read
   * @returns false when the writer came first: look again
   */
  leave(partRead: number): boolean {
    const unread = this.#unread;
    const seen = load(this.#control, WORD);
    this.#note(seen);
    if (this.#unread > unread) return false;
    store(this.#control, RING.partRead, partRead);
    if (!leaveReader(this.#control, seen, this.#taken)) return false;
    this.#taken = 0;
    return true;
  }

  /** Parks until more is published. @returns false when there is something already */
  park(sleep: Sleep): boolean {
    this.release();
    for (;;) {
      const seen = load(this.#control, WORD);
      this.#note(seen);
      if (this.#unread > 0) return false;
      if (parkReader(this.#control, seen, sleep)) return true;
    }
  }

  /** Takes the mark of {@link park} back, after a wait that ended for whatever reason. */
  unpark(): void {
    unparkReader(this.#control);
  }

  /** Blocks this thread after a {@link park} on the futex. @returns false when the time was up */
  wait(milliseconds: number): boolean {
    return waitReader(this.#control, milliseconds);
  }

  /** Blocks this thread until the time is up, unparked, or a little less. @returns false when it was up */
  rest(milliseconds: number): boolean {
    return rest(this.#control, milliseconds);
  }

  #note(seen: number): void {
    const taken = this.#taken;
    const atMost = this.#capacity - taken - this.#unread;
    this.#unread = this.#capacity - taken - available(seen, this.#capacity, 0, atMost);
  }

  /**
   * A memfd's page is charged to whoever touches it first. The reader allocates
   * the ring, so it pays: a step ahead, since an idle ring shall cost nothing.
   */
  #populateAhead(): void {
    if (this.#offset + POPULATE_STEP < this.#populated) return;
    const length = Math.min(POPULATE_STEP * 2, this.#capacity - this.#populated);
    this.#memory.region.populate(RING.controlLength + this.#populated, length);
    this.#populated += length;
  }
}
