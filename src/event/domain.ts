import { AsyncResource } from 'node:async_hooks';
import { type Idle, native } from '../native.js';
import { Waiting, type WaitingMode } from './waiting.js';

/** Looks for work within a turn before the event loop goes round, which takes as long as about so many. */
const LOOKS = 32;
/** Times that work is done within a turn, and after how many milliseconds no more: timers and other I/O must not starve. */
const ROUNDS = 32;
const LONG = 2;

/** What a domain polls while it is awake: a link. */
export interface Pollable {
  /** Does a bounded amount of work. @returns whether there was any */
  poll(): boolean;
  /** Arms every notification. @returns false when there is something to do after all */
  sleep(): boolean;
  /** Whether it keeps the process alive. */
  readonly isReferenced: boolean;
}

/** What was filled and is to be published once the present turn is over. */
export interface Publishable {
  /** Called once for each time that it asked to be. Must not throw. */
  publishListed(): void;
}

/**
 * One Node environment's event loop, as shmloop uses it.
 *
 * Awake, it polls its active links turn by turn, letting the event loop go round
 * in between, so that timers and other I/O are never starved. When polling no
 * longer pays it arms them and sleeps: from then on only a doorbell wakes it.
 */
class Domain {
  readonly #waiting = new Waiting();
  readonly #active = new Set<Pollable>();
  readonly #unpublished: Publishable[] = [];
  readonly #published = Promise.resolve();
  /** Handlers run in no caller's async context but in the library's own. */
  readonly #resource = new AsyncResource('SHMLOOP_DOMAIN');
  readonly #run = (): void => this.#turn();
  readonly #publish = (): void => this.#publishAll();
  #immediate: NodeJS.Immediate | undefined;
  /** An immediate that does not keep the process alive does not wake the loop either: it would wait for an event. */
  #idle: Idle | undefined;
  #isFlushing = false;
  #inTurn = false;
  #isYielding = false;

  /** No turn comes any more: what `exit` listeners send is published at once. */
  #isExiting = false;

  constructor() {
    process.on('exit', () => {
      this.#isExiting = true;
      this.#publishAll();
    });
  }

  get waiting(): WaitingMode {
    return this.#waiting.mode;
  }

  set waiting(mode: WaitingMode) {
    this.#waiting.mode = mode;
    this.blocking.mode = mode;
  }

  /** Whether the process is about to end: what is not done now never will be. */
  get isExiting(): boolean {
    return this.#isExiting;
  }

  /** The same decision for blocking calls, which have waits of their own. */
  readonly blocking = new Waiting();

  /** A link has, or may have, something to do: it is polled from the next turn on. */
  activate(link: Pollable): void {
    this.#active.add(link);
    if (this.#inTurn || this.#immediate?.hasRef()) return;
    this.inOwnContext(() => this.#schedule());
  }

  /** Runs `make` outside of the caller's async context, so that no handler inherits it. */
  inOwnContext<T>(make: () => T): T {
    return this.#resource.runInAsyncScope(make);
  }

  /** As {@link activate}, and at once: called from the event loop by its doorbell. */
  wake(link: Pollable): void {
    this.#active.add(link);
    if (this.#inTurn) return;
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#turn();
  }

  deactivate(link: Pollable): void {
    this.#active.delete(link);
  }

  /** Publishes soon: at the end of the turn, or of the present run of JavaScript. */
  publishSoon(writer: Publishable): void {
    if (this.#isExiting) return writer.publishListed();
    this.#unpublished.push(writer);
    if (this.#inTurn || this.#isFlushing) return;
    this.#isFlushing = true;
    this.#published.then(this.#publish);
  }

  /** Publishes at once: this thread is about to block, and its turn will not end. */
  publishNow(): void {
    if (this.#unpublished.length > 0) this.#publishAll();
  }

  /** Something was settled that the application awaits: its turn comes when ours is over. */
  yieldSoon(): void {
    this.#isYielding = true;
  }

  #turn(): void {
    this.#immediate = undefined;
    this.#idle?.stop();
    this.#inTurn = true;
    let worked = true;
    // What is found now has come by now: the time that the work takes is none of the wait's.
    const started = performance.now();
    try {
      worked = this.#pollOn(this.#waiting.isPolling ? LOOKS : 1, started + LONG);
    } finally {
      // Also when a handler threw: the rest of the links must not stall.
      this.#inTurn = false;
      this.#isYielding = false;
      this.#publishAll();
      this.#next(worked, started);
    }
  }

  /**
   * Polls as long as there is work, as libuv reads on, and after that looks again and again, for a short time: the
   * answer of a peer that is awake comes sooner than the event loop goes round.
   */
  #pollOn(looks: number, until: number): boolean {
    let rounds = 0;
    for (let left = looks; left > 0; left--) {
      if (!this.#pollAll()) continue;
      this.#publishAll();
      if (++rounds === ROUNDS || this.#isYielding || performance.now() > until) break;
      left = looks + 1;
    }
    return rounds > 0;
  }

  #pollAll(): boolean {
    let worked = false;
    for (const link of this.#active) {
      if (link.poll()) worked = true;
    }
    return worked;
  }

  #next(worked: boolean, started: number): void {
    if (worked) this.#waiting.worked(started);
    if (this.#active.size === 0) return;
    const isPolling = (worked && this.#waiting.isPolling) || this.#waiting.shouldPoll();
    if (isPolling && this.#isReferenced()) this.#schedule();
    else this.#sleep();
  }

  #sleep(): void {
    for (const link of this.#active) {
      if (link.sleep()) this.#active.delete(link);
    }
    if (this.#active.size > 0) this.#schedule();
  }

  #schedule(): void {
    this.#immediate ??= setImmediate(this.#run);
    if (this.#isReferenced()) {
      this.#immediate.ref();
    } else {
      this.#immediate.unref();
      this.#idle ??= new (native().Idle)();
      this.#idle.start();
    }
  }

  #isReferenced(): boolean {
    for (const link of this.#active) {
      if (link.isReferenced) return true;
    }
    return false;
  }

  #publishAll(): void {
    this.#isFlushing = false;
    for (let writer = this.#unpublished.pop(); writer !== undefined; writer = this.#unpublished.pop()) {
      writer.publishListed();
    }
  }
}

/** This environment's domain: module state is per environment, main thread and workers alike. */
export const domain = new Domain();
