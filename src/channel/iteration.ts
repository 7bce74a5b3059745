import type { Endpoint } from './endpoint.js';
import type { Waiter } from './intake.js';
import type { Item } from './region-message.js';

/** A loop over the messages of a channel. */
export class Iteration<T> implements AsyncIterableIterator<T>, AsyncDisposable {
  readonly #endpoint: Endpoint;
  readonly #convert: (item: Item) => T;
  readonly #onLeave: () => void;
  /** The endpoint's waiters that are this loop's. */
  readonly #waiters = new Set<Waiter>();
  #isLeft = false;

  /** @param onLeave called once: the loop takes no more messages */
  constructor(endpoint: Endpoint, convert: (item: Item) => T, onLeave: () => void) {
    this.#endpoint = endpoint;
    this.#convert = convert;
    this.#onLeave = onLeave;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#isLeft) return this.return();
    const endpoint = this.#endpoint;
    endpoint.isLooping = false;
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
      this.#endpoint.isLooping = true;
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
    this.#endpoint.isLooping = false;
    for (const waiter of this.#waiters) {
      this.#endpoint.forget(waiter);
      waiter(undefined);
    }
  }
}
