import { EVENTS } from '../layout.js';
import type { Region } from '../memory/index.js';
import { exchange, load, setBits, type Words } from '../words.js';

/**
 * The notifier's half of one direction of a link: marks a port pending for the
 * peer's domain, and rings its doorbell if it sleeps.
 *
 * Order: pending before selector before asleep. The sleeper looks in the
 * opposite order, so one of the two always sees the other.
 */
export class EventNotifier {
  readonly #words: Words;

  constructor(
    readonly region: Region,
    readonly ring: () => void,
  ) {
    this.#words = new Int32Array(region.memory);
  }

  notify(port: number): void {
    const word = port >>> 5;
    setBits(this.#words, EVENTS.pending + word, 1 << (port & 31));
    setBits(this.#words, EVENTS.selector, 1 << (word / EVENTS.wordsPerGroup));
    if (exchange(this.#words, EVENTS.asleep, 0) === 1) this.ring();
  }
}

/** The sleeper's half: collects what is pending, and says when it goes to sleep. It owns the memory. */
export class EventCollector {
  readonly #words: Words;

  constructor(readonly region: Region) {
    this.#words = new Int32Array(region.memory);
  }

  /** Whether anything was marked; the port may turn out to be none of ours. */
  isPending(): boolean {
    return load(this.#words, EVENTS.selector) !== 0;
  }

  /**
   * Takes all that is pending: selector, then pending words, each by an exchange,
   * and only then may rings be looked at.
   */
  collect(ready: (port: number) => void): void {
    let groups = exchange(this.#words, EVENTS.selector, 0);
    while (groups !== 0) {
      const group = 31 - Math.clz32(groups);
      groups ^= 1 << group;
      this.#collectGroup(group * EVENTS.wordsPerGroup, ready);
    }
  }

  /** Goes to sleep. @returns false when something is pending, and it is awake still */
  sleep(): boolean {
    exchange(this.#words, EVENTS.asleep, 1);
    if (!this.isPending()) return true;
    this.wake();
    return false;
  }

  wake(): void {
    exchange(this.#words, EVENTS.asleep, 0);
  }

  #collectGroup(first: number, ready: (port: number) => void): void {
    for (let word = first; word < first + EVENTS.wordsPerGroup; word++) {
      if (load(this.#words, EVENTS.pending + word) === 0) continue;
      let bits = exchange(this.#words, EVENTS.pending + word, 0);
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits);
        bits ^= 1 << bit;
        ready((word << 5) | bit);
      }
    }
  }
}
