// Values that a hostile peer would choose: around every bound, and any other.
import { CONTROL, EVENTS, FRAME } from '../../dist/layout.js';

const EDGES = [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 255, 256, 1016, 1017, 1024, 4088, 4095, 4096, 4097, 8192, 65_536];
const BITS = [CONTROL.writerOnFutex, CONTROL.readerOnFutex, CONTROL.writerParked, CONTROL.readerParked, 1 << 31];
const EXTREMES = [-1, -8, 0x7fffffff, -0x80000000, CONTROL.available, FRAME.maxId, EVENTS.maxChannels];

/** Mulberry32, by a seed, a target and a round: any round can be played again without those before it. */
export class Random {
  #state;

  constructor(seed, target, round) {
    this.#state =
      Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(hash(target), 0xc2b2ae35) ^ Math.imul(round + 1, 0x27d4eb2f);
  }

  /** An unsigned 32-bit word. */
  bits() {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** From 0 to below the limit. */
  below(limit) {
    return this.bits() % limit;
  }

  chance(percent) {
    return this.below(100) < percent;
  }

  pick(values) {
    return values[this.below(values.length)];
  }

  /** Any value of a 32-bit word, most of them near a bound of something. */
  word() {
    switch (this.below(6)) {
      case 0:
        return this.bits() | 0;
      case 1:
        return this.pick(EXTREMES);
      case 2:
        return this.pick(EDGES) | this.pick(BITS);
      case 3:
        return -this.pick(EDGES);
      default:
        return this.pick(EDGES);
    }
  }
}

function hash(text) {
  let value = 0;
  for (const character of text) value = (Math.imul(value, 31) + character.charCodeAt(0)) | 0;
  return value;
}
