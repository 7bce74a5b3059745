import { ShmloopError } from '../errors.js';
import { BROADCAST, PAGE } from '../layout.js';
import { type Region, SEAL, SHARING_SEALS } from '../memory/index.js';
import { load, store, type Words } from '../words.js';

/** A word holds so many different values. */
export const WORD = 2 ** 32;
const UNIT = 8;
/** Times that a position may change its high half while it is read: once in 32 GiB, if the writer is honest. */
const TRIES = 4;

/** Those of a broadcast region: nobody but its publisher can write it. */
export const SEALS = SEAL.seal | SEAL.shrink | SEAL.grow | SHARING_SEALS.read;

/** Bytes of the file behind a broadcast region of this capacity. */
export function broadcastFileLength(capacity: number): number {
  return BROADCAST.controlLength + capacity;
}

/** The views of a mapped broadcast region that its writer and its readers use alike. */
export class BroadcastMemory {
  readonly capacity: number;
  /** The control page. Only `words.ts` steps touch it. */
  readonly control: Words;
  readonly bytes: Buffer;
  /** The same data as 32-bit words; records start at multiples of 8. */
  readonly words: Int32Array;

  constructor(readonly region: Region) {
    this.capacity = region.length - BROADCAST.controlLength;
    this.control = new Int32Array(region.memory, 0, PAGE / 4);
    this.bytes = Buffer.from(region.memory, BROADCAST.controlLength);
    this.words = new Int32Array(region.memory, BROADCAST.controlLength);
  }
}

/*
 * A position counts bytes since the beginning, and so outgrows a word: it is kept in units of 8 bytes, as a low word
 * between two copies of the high one. The writer, of which there is one, sets the copy behind first, then the low word,
 * then the copy in front. A reader goes from front to back: where the two copies agree, the low word belongs to them.
 */

/** Where a position has these words, from `index` on. */
const FRONT = 0;
const LOW = 1;
const BACK = 2;

export function storePosition(control: Words, index: number, position: number, before: number): void {
  const units = position / UNIT;
  const high = Math.floor(units / WORD);
  const isCarried = high !== Math.floor(before / UNIT / WORD);
  if (isCarried) store(control, index + BACK, high);
  store(control, index + LOW, units | 0);
  if (isCarried) store(control, index + FRONT, high);
}

/** @throws ERR_SHMLOOP_PROTOCOL when it is out of range, or does not hold still */
export function loadPosition(control: Words, index: number): number {
  for (let tries = 0; tries < TRIES; tries++) {
    const high = load(control, index + FRONT);
    const low = load(control, index + LOW);
    if (load(control, index + BACK) !== high) continue;
    if (high < 0 || high > BROADCAST.maxHigh) break;
    return (high * WORD + (low >>> 0)) * UNIT;
  }
  throw broken('a position is out of range');
}

export function broken(what: string): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_PROTOCOL', `the publisher broke the protocol: ${what}`);
}
