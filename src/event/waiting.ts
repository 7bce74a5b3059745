import { ShmloopError } from '../errors.js';
import { usableCpus } from './cpus.js';

/**
 * How a domain waits for its peers:
 * - `park`: sleeps at once; no CPU while idle, one wake-up by the kernel.
 * - `adaptive`: polls for a bounded time within the event loop, then parks.
 * - `spin`: polls as long as a channel is open. One CPU is its price.
 */
export type WaitingMode = 'park' | 'adaptive' | 'spin';

const MODES: readonly string[] = ['park', 'adaptive', 'spin'];
/** About what parking and being woken costs: polling longer never pays. Milliseconds, as all times here. */
const LONGEST = 0.05;
const SHORTEST = 0.005;

/**
 * Decides between polling and parking. The bound of polling doubles when a wait
 * was so short that polling would have met its end, and halves when it was not:
 * the algorithm of KVM's halt polling (Linux, virt/kvm/kvm_main.c).
 */
export class Waiting {
  #mode: WaitingMode = 'adaptive';
  #bound = 0;
  /** When the present wait began; negative when there is none. */
  #since = -1;

  get mode(): WaitingMode {
    return this.#mode;
  }

  set mode(mode: WaitingMode) {
    if (!MODES.includes(mode)) {
      throw new ShmloopError('ERR_SHMLOOP_INVALID_ARGUMENT', `waiting is one of ${MODES.join(', ')}`);
    }
    this.#mode = mode;
    this.#bound = 0;
  }

  /** Whether polling may take a CPU at all: the only one is the peer's, too. */
  get mayPoll(): boolean {
    return this.#mode === 'spin' || (this.#mode === 'adaptive' && usableCpus() >= 2);
  }

  /** Work was found: the wait, if any, is over. */
  worked(): void {
    if (this.#since < 0) return;
    if (this.#mode === 'adaptive') this.#adapt(performance.now() - this.#since);
    this.#since = -1;
  }

  /** No work was found. @returns whether to poll on rather than to park */
  shouldPoll(): boolean {
    if (!this.mayPoll) return false;
    if (this.#mode === 'spin') return true;
    const now = performance.now();
    if (this.#since < 0) this.#since = now;
    return now - this.#since < this.#bound;
  }

  #adapt(waited: number): void {
    if (waited <= this.#bound) return;
    if (waited <= LONGEST) this.#bound = Math.min(LONGEST, Math.max(SHORTEST, this.#bound * 2));
    else this.#bound = this.#bound / 2 < SHORTEST ? 0 : this.#bound / 2;
  }
}
