import type { Sharing } from '../memory/index.js';
import { isSafe } from './mappings.js';

/** What the library holds for a message; the application holds the {@link RegionMessage}. */
interface Held {
  release: (() => void) | undefined;
}

const dropped = new FinalizationRegistry<Held>(give);
/** A buffer that is still held keeps its message, and so is not released by the collector. */
const messageOf = new WeakMap<Buffer, RegionMessage>();

function give(held: Held): void {
  const { release } = held;
  held.release = undefined;
  release?.();
}

/**
 * A message in the sender's own pages, which are the receiver's to look at until it releases them, whatever
 * becomes of the channel meanwhile. Then the sender uses them again: what the buffers show from there on is
 * anything. A message that nobody holds, nor one of its buffers, is released when that is collected; a
 * `subarray` of a buffer alone does not hold it.
 */
export class RegionMessage implements Disposable {
  /** Its parts, as they were sent. */
  readonly buffers: readonly Buffer[];
  /** Bytes of all parts together. */
  readonly length: number;
  readonly #held: Held;
  /** Of the parts in regions, the one that takes most trust. */
  readonly #sharing: Sharing;

  /** Made by the channel. @param release is called once, by whoever is first */
  constructor(buffers: readonly Buffer[], sharing: Sharing = 'immutable', release?: () => void) {
    this.buffers = buffers;
    this.length = buffers.reduce((sum, { length }) => sum + length, 0);
    this.#sharing = sharing;
    this.#held = { release };
    if (release === undefined) return;
    for (const buffer of buffers) messageOf.set(buffer, this);
    dropped.register(this, this.#held, this.#held);
  }

  /** All of it as one buffer: the only part itself, or else a private copy of all parts. */
  get buffer(): Buffer {
    return this.buffers.length === 1 ? (this.buffers[0] as Buffer) : Buffer.concat(this.buffers);
  }

  /** Whether nobody can change its bytes any more: they are private, or in an immutable region. */
  get immutable(): boolean {
    return this.#sharing === 'immutable';
  }

  /** Gives the pages back to the sender; done twice it does nothing. */
  release(): void {
    if (this.#held.release === undefined) return;
    dropped.unregister(this.#held);
    give(this.#held);
  }

  /** As {@link release}: for `using`. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** @internal The message where it is, or a private copy of it: where the sender, of that uid, is not trusted with more. */
  guarded(uid: number, isTrusted: boolean): RegionMessage {
    return isSafe(this.#sharing, uid, isTrusted) ? this : new RegionMessage([privateCopy(this)]);
  }
}

/** What was received: private memory, or a message in regions. */
export type Item = Buffer | RegionMessage;

/** A message on its way into private memory, piece by piece: all at once would hold up the event loop. */
export class Copying {
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

/** The message in private memory; what it was in is released. */
export function privateCopy(item: Item): Buffer {
  if (!(item instanceof RegionMessage)) return item;
  const copy = Buffer.concat(item.buffers);
  item.release();
  return copy;
}
