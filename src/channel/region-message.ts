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
 * anything. Leave them as they are: what is written to them stays private to this process, and hides what later
 * messages have in the same pages. A message that nobody holds, nor one of its buffers, is released when that is collected; a
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

/** The message in private memory; what it was in is released. */
export function privateCopy(item: Item): Buffer {
  if (!(item instanceof RegionMessage)) return item;
  const copy = Buffer.concat(item.buffers);
  item.release();
  return copy;
}
