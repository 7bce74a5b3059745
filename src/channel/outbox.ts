import { invalid } from '../errors.js';
import { FRAME, PARTS } from '../layout.js';
import { type PoolBlock, type SharedRegion, takeOver } from '../memory/index.js';
import { broken } from './grant-messages.js';
import type { Entry, Grants } from './grants.js';
import { encodeParts, type Outgoing } from './parts.js';

interface Sent {
  readonly entries: Entry[];
  readonly giveBack: () => void;
  readonly resolve: () => void;
}

/** The messages whose parts are in regions of this end's, until the other releases them. */
export class Outbox {
  readonly #grants: Grants;
  /** What a region was passed by. */
  readonly #entries = new WeakMap<SharedRegion, Entry>();
  readonly #sent = new Map<number, Sent>();
  #nextId = 0;

  constructor(grants: Grants) {
    this.#grants = grants;
  }

  /** Messages that the other end has, or will have. */
  get size(): number {
    return this.#sent.size;
  }

  /**
   * Passes the regions that the other end does not have yet, and takes over the blocks.
   * @returns the message, and what resolves when it is released
   * @throws ERR_SHMLOOP_INVALID_ARGUMENT, ERR_SHMLOOP_GRANT, ERR_SHMLOOP_CLOSED, ERR_SHMLOOP_POOL
   */
  add(parts: readonly Outgoing[]): { id: number; payload: Buffer; released: Promise<void> } {
    if (parts.length < 1 || parts.length > PARTS.maxParts) throw invalid`a message has 1 to ${PARTS.maxParts} parts`;
    const entries: Entry[] = [];
    const payload = encodeParts(parts, (region) => {
      const entry = this.#entryOf(region);
      entries.push(entry);
      return entry.id;
    });
    const giveBack = takeOver(blocksOf(parts));
    for (const entry of entries) entry.messages++;
    const id = this.#takeId();
    const released = new Promise<void>((resolve) => this.#sent.set(id, { entries, giveBack, resolve }));
    return { id, payload, released };
  }

  /** The other end is gone, and so is the message: blocks come back. @throws ERR_SHMLOOP_POOL */
  drop(parts: readonly Outgoing[]): void {
    takeOver(blocksOf(parts))();
  }

  /** The other end released a message. @throws ERR_SHMLOOP_PROTOCOL when it had none of that number */
  released(id: number): void {
    const sent = this.#sent.get(id);
    if (sent === undefined) throw broken(`back message ${id}, which it does not have`);
    this.#sent.delete(id);
    for (const entry of sent.entries) this.#grants.settled(entry);
    sent.giveBack();
    sent.resolve();
  }

  /** Nothing is in use at the other end any more. */
  freed(): void {
    for (const id of [...this.#sent.keys()]) this.released(id);
  }

  #entryOf(region: SharedRegion): Entry {
    const known = this.#entries.get(region);
    if (known !== undefined && !known.isRevoked) return known;
    const entry = this.#grants.pass(region);
    this.#entries.set(region, entry);
    return entry;
  }

  #takeId(): number {
    do this.#nextId = (this.#nextId + 1) & FRAME.maxId;
    while (this.#sent.has(this.#nextId));
    return this.#nextId;
  }
}

function blocksOf(parts: readonly Outgoing[]): PoolBlock[] {
  return parts.flatMap(({ block }) => block ?? []);
}
