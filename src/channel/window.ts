/** Requests of one direction that may be without an answer at a time. */
const MAX_REQUESTS = 1024;
/** Bytes of them, likewise; a single one may be longer. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * The requests of one direction that have no answer yet. Both ends keep this account: who asks sends no more than
 * fit, and who answers takes all that come. If requests waited in the ring two ends that ask each other would be
 * held up for ever, each with the other's answers behind what it does not take.
 */
export class Window {
  readonly #lengths = new Map<number, number>();
  #bytes = 0;

  get size(): number {
    return this.#lengths.size;
  }

  has(id: number): boolean {
    return this.#lengths.has(id);
  }

  /** Whether a request of so many bytes may be under way as well. */
  fits(length: number): boolean {
    const { size } = this;
    return size === 0 || (size < MAX_REQUESTS && this.#bytes + length <= MAX_BYTES);
  }

  add(id: number, length: number): void {
    this.#lengths.set(id, length);
    this.#bytes += length;
  }

  /** It is answered. */
  delete(id: number): void {
    const length = this.#lengths.get(id);
    if (length === undefined) return;
    this.#lengths.delete(id);
    this.#bytes -= length;
  }
}
