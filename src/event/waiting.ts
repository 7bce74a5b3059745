import { checkChoice } from '../errors.js';
import { usableCpus } from './cpus.js';

/**
 * How a domain waits for its peers:
 * - `park`: sleeps at once; no CPU while idle, one wake-up by the kernel.
 * - `adaptive`: polls for a bounded time within the event loop, then parks.
 * - `spin`: polls as long as a channel is open. One CPU is its price.
 */
export type WaitingMode = 'park' | 'adaptive' | 'spin';

const MODES: readonly string[] = ['park', 'adaptive', 'spin'];
/**
 * About what it costs to park and be woken on a virtual machine, both ends together: polling for longer never pays.
 * Milliseconds, as all times here.
 */
const LONGEST = 0.1;
/** A peer that is parked, too, takes so long at most to wake up and answer: then both are awake. */
const PROBE = 0.2;
/** Waits for which polling is left alone after it failed again and again. */
const MOST_SKIPPED = 64;

/**
 * Decides between polling and parking, as KVM's halt polling does (Linux, virt/kvm/kvm_main.c): a wait
 * that was short although it parked is reason to poll next time.
 *
 * Unlike there, polling has to pay at once. Where the peer waits for the very CPU that we poll on, every
 * wait is a little longer than the bound, however far that grows. So after a poll in vain the next wait
 * parks, after another the next two, four, and so on.
 */
export class Waiting {
  #mode: WaitingMode = 'adaptive';
  #bound = 0;
  /** When the present wait began; negative when there is none. */
  #since = -1;
  /** Waits that are yet to park whatever the bound. */
  #skip = 0;
  #penalty = 0;

  get mode(): WaitingMode {
    return this.#mode;
  }

  set mode(mode: WaitingMode) {
    checkChoice('waiting', mode, MODES);
    this.#mode = mode;
    this.#bound = 0;
    this.#skip = 0;
    this.#penalty = 0;
  }

  /** Whether polling may take a CPU at all: the only one is the peer's, too. */
  get mayPoll(): boolean {
    return this.#mode === 'spin' || (this.#mode === 'adaptive' && usableCpus() >= 2);
  }

  /** Work was found: the wait, if any, was over at that time. */
  worked(at: number): void {
    if (this.#since < 0) return;
    if (this.#mode === 'adaptive') this.#adapt(at - this.#since);
    this.#since = -1;
  }

  /** Whether the next wait is to begin with polling. */
  get isPolling(): boolean {
    return this.mayPoll && (this.#mode === 'spin' || (this.#skip === 0 && this.#bound > 0));
  }

  /** No work was found, or a wait begins. @returns whether to poll on rather than to park */
  shouldPoll(): boolean {
    if (!this.mayPoll) return false;
    if (this.#mode === 'spin') return true;
    const now = performance.now();
    if (this.#since < 0) this.#since = now;
    return this.#skip === 0 && now - this.#since < this.#bound;
  }

  #adapt(waited: number): void {
    const polled = this.#skip === 0 && this.#bound > 0;
    if (this.#skip > 0) this.#skip--;
    if (polled && waited <= this.#bound) return this.#succeeded(waited);
    if (polled) this.#failed();
    this.#bound = waited <= PROBE ? PROBE : 0;
  }

  #succeeded(waited: number): void {
    this.#bound = LONGEST;
    // A probe that met its end late shows no more than that the peer is awake now.
    if (waited <= LONGEST) this.#penalty >>= 1;
  }

  #failed(): void {
    this.#penalty = Math.min(MOST_SKIPPED, Math.max(1, 2 * this.#penalty));
    this.#skip = this.#penalty;
  }
}
