import { copyIn } from '../copy.js';
import { BROADCAST, RECORD, recordLength } from '../layout.js';
import { fence } from '../words.js';
import { type BroadcastMemory, storePosition, WORD } from './broadcast-memory.js';

/**
 * The writing end of a broadcast region: put records, then publish.
 *
 * It knows nothing of readers. What it puts overwrites the oldest records, which it gives up before (*give up*, pairs
 * with *check* in the reader); what it put is seen when published (*publish*, pairs with *observe* in the reader).
 * Nobody else can write the memory, so what it reads there is its own.
 */
export class BroadcastWriter {
  readonly #memory: BroadcastMemory;
  readonly #capacity: number;
  readonly #mask: number;
  /** Positions, in bytes since the beginning. */
  #filled: number;
  #published: number;
  #tail: number;
  #last: number;
  #newest: number;
  #sequence = 0;

  /** @param start where it begins: a multiple of 8 */
  constructor(memory: BroadcastMemory, start = 0) {
    this.#memory = memory;
    this.#capacity = memory.capacity;
    this.#mask = memory.capacity - 1;
    this.#filled = start;
    this.#published = start;
    this.#tail = start;
    this.#last = start;
    this.#newest = start;
    for (const index of [BROADCAST.head, BROADCAST.tail, BROADCAST.newest]) {
      storePosition(memory.control, index, start, -1);
    }
  }

  /** The largest message that goes into the region, in bytes. */
  get maxMessageSize(): number {
    return this.#capacity - RECORD.headerLength;
  }

  /** Behind the last record that was put. */
  get filled(): number {
    return this.#filled;
  }

  /** Behind the last record that readers see. */
  get published(): number {
    return this.#published;
  }

  /** Where the last record that readers see begins, or where the first one will. */
  get newest(): number {
    return this.#newest;
  }

  /** Its sequence number. */
  get newestSequence(): number {
    return this.#newest === this.#published ? this.#sequence : this.#sequence - 1;
  }

  /** Up to where records are overwritten by one of this payload. */
  overwrites(length: number): number {
    return this.#filled + recordLength(length) - this.#capacity;
  }

  /** Puts a record, of at most {@link maxMessageSize} bytes, in place of the oldest ones. */
  put(data: Uint8Array): void {
    this.#giveUp(this.overwrites(data.length));
    this.#word(0, data.length);
    this.#word(4, this.#sequence);
    this.#word(8, Math.floor(this.#sequence / WORD));
    this.#copyIn(data);
    this.#last = this.#filled;
    this.#filled += recordLength(data.length);
    this.#sequence++;
  }

  /** Makes all that was put visible. @returns whether there was anything */
  publish(): boolean {
    if (this.#published === this.#filled) return false;
    const { control } = this.#memory;
    storePosition(control, BROADCAST.head, this.#filled, this.#published);
    this.#published = this.#filled;
    storePosition(control, BROADCAST.newest, this.#last, this.#newest);
    this.#newest = this.#last;
    return true;
  }

  /** Gives up the records before `position`: who reads one of them sees that afterwards. */
  #giveUp(position: number): void {
    if (position <= this.#tail) return;
    const before = this.#tail;
    while (this.#tail < position) this.#tail += recordLength(this.#lengthAt(this.#tail));
    // The tail is never beyond the head.
    if (this.#tail > this.#published) this.publish();
    storePosition(this.#memory.control, BROADCAST.tail, this.#tail, before);
    fence();
  }

  /** Plain: it was written by this side, and by nobody else. */
  #lengthAt(position: number): number {
    return this.#memory.words[(position & this.#mask) >> 2] as number;
  }

  /** Plain stores, here and of the payload: published later, atomically. */
  #word(at: number, value: number): void {
    this.#memory.words[((this.#filled + at) & this.#mask) >> 2] = value;
  }

  #copyIn(data: Uint8Array): void {
    const start = (this.#filled + RECORD.headerLength) & this.#mask;
    const untilEnd = Math.min(data.length, this.#capacity - start);
    const { bytes } = this.#memory;
    copyIn(bytes, start, data, 0, untilEnd);
    if (untilEnd < data.length) copyIn(bytes, 0, data, untilEnd, data.length);
  }
}
