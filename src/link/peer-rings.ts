import { ShmloopError } from '../errors.js';
import { Region } from '../memory/index.js';
import type { Descriptor } from '../native.js';
import { RingMemory, ringFileLength } from '../ring/index.js';

/** A ring that the peer allocated, and this side writes. */
export interface PeerRing {
  readonly id: number;
  readonly memory: RingMemory;
  isUsed: boolean;
}

/** The rings that the peer allocated, by its ids. */
export class PeerRings {
  readonly #rings = new Map<number, PeerRing>();

  /**
   * The ring that the peer offers for a channel: one that it passes now, or passed before. Takes the descriptor.
   * @param capacity as the message says, in bytes; range-checked already
   * @throws ERR_SHMLOOP_PROTOCOL, ERR_SHMLOOP_REGION; ENOMEM, EMFILE as the kernel does
   */
  adopt(id: number, capacity: number, descriptor: Descriptor | undefined): PeerRing {
    const known = this.#rings.get(id);
    if (descriptor === undefined) {
      if (known === undefined || known.isUsed || known.memory.capacity !== capacity) {
        throw broken(`named ring ${id}, which it never passed, or which is in use`);
      }
      known.isUsed = true;
      return known;
    }
    if (known !== undefined || capacity === 0) {
      descriptor.close();
      throw broken(`passed ring ${id} twice, or for nothing`);
    }
    const region = Region.adopt(descriptor, ringFileLength(capacity), 'ring');
    region.hide();
    const memory = new RingMemory(region);
    const ring = { id, memory, isUsed: true };
    this.#rings.set(id, ring);
    return ring;
  }

  /** The peer will not offer it again. @throws ERR_SHMLOOP_PROTOCOL when a channel uses it */
  forget(id: number): void {
    const ring = this.#rings.get(id);
    if (ring?.isUsed) throw broken(`takes ring ${id} away, which is in use`);
    this.#rings.delete(id);
    ring?.memory.region.retire();
  }

  /** Lets go of one that is not written any more. */
  drop({ id, memory }: PeerRing): void {
    this.#rings.delete(id);
    memory.region.retire();
  }

  /** Lets go of all: none is written any more. */
  retire(): void {
    for (const { memory } of this.#rings.values()) memory.region.retire();
    this.#rings.clear();
  }
}

function broken(what: string): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_PROTOCOL', `the peer ${what}`);
}
