import type { Endpoint } from './endpoint.js';
import type { Waiter } from './intake.js';
import type { Item } from './region-message.js';

/** Whether a loop has a message: known without the loop, which may be dropped in the middle. */
class Hold {
  readonly #endpoint: Endpoint;
  #isHeld = false;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  set(isHeld: boolean): void {
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    this.#endpoint.loopChanged(isHeld ? 1 : -1);
  }
}

const dropped = new FinalizationRegistry<Hold>((hold) => hold.set(false));

/** A loop over the messages of a channel. */
export class Iteration<T> implements AsyncIterableIterator<T>, AsyncDisposable {
  readonly #endpoint: Endpoint;
  readonly #convert: (item: Item) => T;
  readonly #onLeave: () => void;
  readonly #hold: Hold;
  /** The endpoint's waiters that are this loop's. */
  readonly #waiters = new Set<Waiter>();
  #isLeft = false;

  /** @param onLeave called once: the loop takes no more messages */
  constructor(endpoint: Endpoint, convert: (item: Item) => T, onLeave: () => void) {
    this.#endpoint = endpoint;
    this.#convert = convert;
    this.#onLeave = onLeave;
    this.#hold = new Hold(endpoint);
    dropped.register(this, this.#hold);
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#isLeft) return this.return();
    const endpoint = this.#endpoint;
    this.#hold.set(false);
    const item = endpoint.isAwaited ? undefined : endpoint.takeInTurn();
    if (item !== undefined || endpoint.isDrained) return this.#give(item);
    return new Promise((resolve) => {
      const waiter: Waiter = (next) => {
        this.#waiters.delete(waiter);
        resolve(this.#give(next));
      };
      this.#waiters.add(waiter);
      endpoint.wait(waiter);
    });
  }

  async return(): Promise<IteratorResult<T>> {
    this.#leave();
    return { value: undefined, done: true };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @throws what broke the channel, once, at its end */
  async #give(item: Item | undefined): Promise<IteratorResult<T>> {
    if (item !== undefined) {
      this.#hold.set(true);
      return { value: this.#convert(item), done: false };
    }
    const isFirst = !this.#isLeft;
    this.#leave();
    if (isFirst && this.#endpoint.error !== undefined) throw this.#endpoint.error;
    return { value: undefined, done: true };
  }

  #leave(): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    this.#onLeave();
    this.#hold.set(false);
    for (const waiter of this.#waiters) {
      this.#endpoint.forget(waiter);
      waiter(undefined);
    }
  }
}
