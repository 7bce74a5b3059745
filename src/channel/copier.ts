import type { RegionMessage } from './region-message.js';

/** Bytes of regions that may be copied in a turn: a few bytes in the ring can stand for many. */
const SHARE = 1024 * 1024;

/** A message on its way into private memory, piece by piece: all at once would hold up the event loop. */
class Copying {
  readonly #message: RegionMessage;
  readonly copy: Buffer;
  #done = 0;

  constructor(message: RegionMessage) {
    this.#message = message;
    this.copy = Buffer.allocUnsafeSlow(message.length);
  }

  /** Copies up to so many bytes. @returns whether all is copied, and what it was in released */
  advance(bytes: number): boolean {
    const until = Math.min(this.#done + bytes, this.copy.length);
    let start = 0;
    for (const buffer of this.#message.buffers) {
      const from = Math.max(this.#done - start, 0);
      if (from < buffer.length && start < until) {
        buffer.copy(this.copy, start + from, from, Math.min(buffer.length, until - start));
      }
      start += buffer.length;
    }
    this.#done = until;
    if (until < this.copy.length) return false;
    this.#message.release();
    return true;
  }

  /** Nobody wants it any more. */
  drop(): void {
    this.#message.release();
  }
}

/** What is copied, turn by turn, out of the regions of messages. */
export class Copier {
  /** Since the last turn. */
  #bytes = 0;
  #copying: Copying | undefined;

  /** Whether something is left in this turn. */
  get hasRoom(): boolean {
    return this.#bytes < SHARE;
  }

  /** Whether there is a message too large to be copied in one turn; what comes behind it waits. */
  get isBusy(): boolean {
    return this.#copying !== undefined;
  }

  newTurn(): void {
    this.#bytes = 0;
  }

  /** A message is taken out of its regions: at once, for which it counts, or piece by piece. @returns whether at once */
  admits(message: RegionMessage): boolean {
    if (message.length > SHARE) {
      this.#copying = new Copying(message);
      return false;
    }
    this.#bytes += message.length;
    return true;
  }

  /** Copies a turn's share of it. @returns the copy that is done */
  advance(): Buffer | undefined {
    this.#bytes = SHARE;
    return this.#copyOn(SHARE);
  }

  /** Copies all that is left, if there is something. @returns the copy */
  finish(): Buffer | undefined {
    return this.#copyOn(Number.POSITIVE_INFINITY);
  }

  /** Nobody wants it any more. */
  drop(): void {
    this.#copying?.drop();
    this.#copying = undefined;
  }

  #copyOn(bytes: number): Buffer | undefined {
    const copying = this.#copying;
    if (!copying?.advance(bytes)) return undefined;
    this.#copying = undefined;
    return copying.copy;
  }
}
