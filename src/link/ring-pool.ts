import { RING } from '../layout.js';
import { Region } from '../memory/index.js';
import type { Descriptor } from '../native.js';
import { RingMemory, RingReader, ringFileLength } from '../ring/index.js';

/** Rings kept for reuse by one link. */
const MAX_IDLE = 8;
/** Of which all but one take so much together: their pages stay. */
const MAX_IDLE_BYTES = 16 * 1024 * 1024;

/** A ring that this side allocated, and reads. */
export interface OwnRing {
  readonly id: number;
  readonly memory: RingMemory;
}

/**
 * The rings that this side of a link receives on. One that both ends have let go
 * of is used again: the peer has it mapped already, so an open costs no descriptor.
 */
export class RingPool {
  readonly #idle: OwnRing[] = [];
  #nextId = 1;

  /**
   * @returns the ring, and its descriptor if the peer has not seen it yet
   * @throws ENOMEM, EMFILE, ENFILE as the kernel does
   */
  acquire(capacity: number): { ring: OwnRing; descriptor?: Descriptor } {
    const index = this.#idle.findLastIndex((ring) => ring.memory.capacity === capacity);
    if (index !== -1) {
      const ring = this.#idle.splice(index, 1)[0] as OwnRing;
      RingReader.format(ring.memory);
      return { ring };
    }
    const { region, descriptor } = Region.create(ringFileLength(capacity), 'ring');
    try {
      // The control page only: an idle ring costs no more.
      region.populate(0, RING.controlLength);
    } catch (error) {
      region.retire();
      descriptor.close();
      throw error;
    }
    region.hide();
    const memory = new RingMemory(region);
    RingReader.format(memory);
    return { ring: { id: this.#nextId++, memory }, descriptor };
  }

  /**
   * Takes back a ring that nobody writes any more.
   * @returns false when there are enough, or the application, which it was lent to, has taken its memory
   */
  release(ring: OwnRing): boolean {
    if (ring.memory.region.isTaken) return false;
    const bytes = this.#idle.reduce((sum, { memory }) => sum + memory.capacity, ring.memory.capacity);
    if (this.#idle.length >= MAX_IDLE || (bytes > MAX_IDLE_BYTES && this.#idle.length > 0)) return false;
    this.#idle.push(ring);
    return true;
  }

  retire(): void {
    for (const ring of this.#idle.splice(0)) ring.memory.region.retire();
  }
}
