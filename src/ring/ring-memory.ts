import { PAGE, RING } from '../layout.js';
import type { Region } from '../memory/index.js';

/** Bytes of the file behind a ring of this capacity. */
export function ringFileLength(capacity: number): number {
  return RING.controlLength + capacity;
}

/** Whether a ring may have this capacity: a power of two from 4 KiB to 64 MiB. */
export function isCapacity(capacity: number): boolean {
  return capacity >= RING.minCapacity && capacity <= RING.maxCapacity && (capacity & (capacity - 1)) === 0;
}

/** The views of a mapped ring that its writer and its reader use alike. */
export class RingMemory {
  readonly capacity: number;
  /** The control page. Only `words.ts` steps touch it. */
  readonly control: Int32Array;
  /** The data, and the same pages once more behind it: any span of the ring is contiguous here. */
  readonly bytes: Buffer;
  /** The same data as 32-bit words; frames start at multiples of 8. */
  readonly words: Int32Array;

  constructor(readonly region: Region) {
    this.capacity = region.length - RING.controlLength;
    this.control = new Int32Array(region.memory, 0, PAGE / 4);
    this.bytes = Buffer.from(region.memory, RING.controlLength);
    this.words = new Int32Array(region.memory, RING.controlLength);
  }
}
