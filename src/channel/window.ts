/** Requests of one direction that may be without an answer at a time. */
const MAX_REQUESTS = 1024;
/** Bytes of them, likewise; a single one may be longer. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * The requests of one direction that have no answer yet. Both ends keep this account: who asks sends no more than
 * fit, and who answers takes all that come. If requests waited in the ring two ends that ask each other would be
 * held up for ever, each with the other's answers behind what it does not take.
 */
export class Window<T extends { readonly length: number }> {
  readonly #requests = new Map<number, T>();
  #bytes = 0;

  get size(): number {
    return this.#requests.size;
  }

  has(id: number): boolean {
    return this.#requests.has(id);
  }

  get(id: number): T | undefined {
    return this.#requests.get(id);
  }

  values(): Iterable<T> {
    return this.#requests.values();
  }

  /** Whether a request of so many bytes may be under way as well. */
  fits(length: number): boolean {
    const { size } = this;
    return size === 0 || (size < MAX_REQUESTS && this.#bytes + length <= MAX_BYTES);
  }

  add(id: number, request: T): void {
    this.#requests.set(id, request);
    this.#bytes += request.length;
  }

  /** It is answered. */
  delete(id: number): void {
    const request = this.#requests.get(id);
    if (request === undefined) return;
    this.#requests.delete(id);
    this.#bytes -= request.length;
  }
}
