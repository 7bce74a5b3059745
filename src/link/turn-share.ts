import { pumpables } from './pump.js';

/** Milliseconds of one turn of the event loop that all of this domain's control sockets may take together. */
const SHARE = 2;
/** Of those that waited, how many have their share of a turn: what they settle is continued after them all. */
const BATCH = 16;
/** The same at once, of a thread that blocks; some come again and again. */
const MANY = 1024;

/**
 * What control sockets take of the event loop. A peer may end a thousand links at once, or ask on each of them: who
 * comes when a turn's share is taken waits for the next turn, first come, first served.
 */
class TurnShare {
  readonly #waiting = new Set<() => void>();
  readonly #go = (): void => this.#turn();
  #immediate: NodeJS.Immediate | undefined;
  #until = 0;

  /** Whether nobody waits, and there is something left in this turn, which lasts until its immediates. */
  isLeft(): boolean {
    this.#begin();
    return this.#waiting.size === 0 && performance.now() < this.#until;
  }

  /** Calls back in a later turn, once. */
  wait(callback: () => void): void {
    this.#begin();
    this.#waiting.add(callback);
  }

  /** Calls back those who wait: a thread that blocks has no turns. */
  pump(): void {
    this.#callBack(MANY);
  }

  #begin(): void {
    if (this.#immediate !== undefined) return;
    this.#until = performance.now() + SHARE;
    this.#immediate = setImmediate(this.#go);
  }

  #turn(): void {
    this.#immediate = undefined;
    if (this.#waiting.size === 0) return;
    // First, so that one that throws does not stop the others.
    this.#begin();
    this.#callBack(BATCH, this.#until);
  }

  #callBack(most: number, until = Number.POSITIVE_INFINITY): void {
    let left = most;
    for (const callback of this.#waiting) {
      this.#waiting.delete(callback);
      callback();
      if (--left === 0 || performance.now() >= until) return;
    }
  }
}

/** This environment's. */
export const turnShare = new TurnShare();
pumpables.add(turnShare);
