import { allocate, carve } from '../channel/slab.js';
import { copyOut } from '../copy.js';
import { BROADCAST, RECORD, recordLength } from '../layout.js';
import { fence } from '../words.js';
import { type BroadcastMemory, broken, loadPosition, WORD } from './broadcast-memory.js';

/** Messages up to this size share memory, as small reads of Node do. */
const SMALL = 4096;
/** Records that may be given up under a reader's hands before it lets others have their turn. */
const TRIES = 8;

/**
 * The reading end of a broadcast region, at a place of its own. It copies first, and then checks that what it copied
 * was not given up meanwhile (*check*, pairs with *give up* in the writer); only then it believes a word of it.
 */
export class BroadcastReader {
  readonly #memory: BroadcastMemory;
  readonly #capacity: number;
  readonly #mask: number;
  #position: number;
  /** The sequence number that comes next. */
  #expected: number;
  /** As of the last look. */
  #head: number;
  #lost = 0;
  #wasOvertaken = false;
  /** It was overtaken, and has read nothing since. */
  #isBehind = false;

  /**
   * @param start where a record begins, or will
   * @param sequence its sequence number
   */
  constructor(memory: BroadcastMemory, start: number, sequence: number) {
    this.#memory = memory;
    this.#capacity = memory.capacity;
    this.#mask = memory.capacity - 1;
    this.#position = start;
    this.#head = start;
    this.#expected = sequence;
  }

  /** Up to where it has read, in bytes since the beginning. */
  get position(): number {
    return this.#position;
  }

  /** Messages that were overwritten before it read them; those before the next message count when that is read. */
  get lost(): number {
    return this.#lost;
  }

  /** Whether the writer ever overwrote what it had not read. */
  get wasOvertaken(): boolean {
    return this.#wasOvertaken;
  }

  /** Whether something is published that it has not read. @throws ERR_SHMLOOP_PROTOCOL */
  hasMore(): boolean {
    return this.#position < this.#head || this.#observe();
  }

  /**
   * The next message, in private memory.
   * @returns nothing when there is none; or, with {@link hasMore}, when the writer is too fast just now
   * @throws ERR_SHMLOOP_PROTOCOL when a value in the region is out of range
   */
  next(): Buffer | undefined {
    for (let tries = 0; tries < TRIES && this.hasMore(); tries++) {
      const length = this.#word(0);
      const end = this.#position + recordLength(length);
      const isPossible = length >= 0 && length <= this.#capacity - RECORD.headerLength && end <= this.#head;
      const sequence = (this.#word(8) >>> 0) * WORD + (this.#word(4) >>> 0);
      const message = isPossible ? this.#copyOut(length) : undefined;
      const tail = this.#check();
      if (tail > this.#position) this.#goOn(tail, tries);
      else if (message === undefined || sequence < this.#expected || !Number.isSafeInteger(sequence)) {
        throw broken('a record is out of range');
      } else return this.#took(message, end, sequence);
    }
    return undefined;
  }

  #took(message: Buffer, end: number, sequence: number): Buffer {
    // Only a reader that was overtaken may miss any.
    if (sequence > this.#expected && !this.#isBehind) throw broken('a record is missing');
    this.#isBehind = false;
    this.#lost += sequence - this.#expected;
    this.#expected = sequence + 1;
    this.#position = end;
    return message;
  }

  /** Goes on from the oldest record; if the writer is too fast for that, from the newest. */
  #goOn(tail: number, tries: number): void {
    this.#wasOvertaken = true;
    this.#isBehind = true;
    const newest = tries === 0 ? tail : loadPosition(this.#memory.control, BROADCAST.newest);
    this.#position = Math.max(tail, newest);
    this.#head = this.#position;
    this.#observe();
  }

  /** @returns whether there is something to read */
  #observe(): boolean {
    const head = loadPosition(this.#memory.control, BROADCAST.head);
    if (head < this.#head) throw broken('the head went back');
    this.#head = head;
    return this.#position < head;
  }

  /** Where the oldest record begins, as of after all that was read before. */
  #check(): number {
    fence();
    return loadPosition(this.#memory.control, BROADCAST.tail);
  }

  /** Plain, here and of the payload: what was given up meanwhile is thrown away. */
  #word(at: number): number {
    return this.#memory.words[((this.#position + at) & this.#mask) >> 2] as number;
  }

  #copyOut(length: number): Buffer {
    const target = makeRoom(length);
    const start = (this.#position + RECORD.headerLength) & this.#mask;
    const untilEnd = Math.min(length, this.#capacity - start);
    const { bytes } = this.#memory;
    copyOut(bytes, start, untilEnd, target, 0);
    if (untilEnd < length) copyOut(bytes, 0, length - untilEnd, target, untilEnd);
    return target;
  }
}

function makeRoom(length: number): Buffer {
  if (length > SMALL) return allocate(length, true);
  const { buffer, start } = carve(length);
  return buffer.subarray(start, start + length);
}
