import { ShmloopError } from '../errors.js';
import { Region } from '../memory/index.js';
import type { Descriptor } from '../native.js';
import { RingMemory, ringFileLength } from '../ring/index.js';

/** The rings that the peer allocated, by its ids: this side writes them. */
export class PeerRings {
  readonly #rings = new Map<number, RingMemory>();

  /**
   * The ring that the peer offers: one that it passes now, or passed before. Takes the descriptor.
   * @param capacity as the message says, in bytes; range-checked already
   * @throws ERR_SHMLOOP_PROTOCOL, ERR_SHMLOOP_REGION; ENOMEM, EMFILE as the kernel does
   */
  adopt(id: number, capacity: number, descriptor: Descriptor | undefined): RingMemory {
    const known = this.#rings.get(id);
    if (descriptor === undefined) {
      if (known === undefined || known.capacity !== capacity) throw broken(`named ring ${id}, which it never passed`);
      return known;
    }
    if (known !== undefined || capacity === 0) {
      descriptor.close();
      throw broken(`passed ring ${id} twice, or for nothing`);
    }
    const memory = new RingMemory(Region.adopt(descriptor, ringFileLength(capacity), 'ring'));
    this.#rings.set(id, memory);
    return memory;
  }

  forget(id: number): void {
    this.#rings.get(id)?.region.retire();
    this.#rings.delete(id);
  }

  retire(): void {
    for (const memory of this.#rings.values()) memory.region.retire();
    this.#rings.clear();
  }
}

function broken(what: string): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_PROTOCOL', `the peer ${what}`);
}
