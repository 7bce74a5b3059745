import { ShmloopError } from '../errors.js';
import { PAGE, RING } from '../layout.js';
import { type Descriptor, native } from '../native.js';

export const SEAL = { seal: 1, shrink: 2, grow: 4, write: 8, futureWrite: 16 } as const;
const REQUIRED_SEALS = SEAL.seal | SEAL.shrink | SEAL.grow;

/** How a region is laid out in memory; what is written to a private one stays in this process. */
export type Layout = 'plain' | 'private' | 'ring';

/**
 * Shared memory that crosses a link: a sealed memfd, mapped once in this domain.
 *
 * Whoever creates it owns its size: it is sealed against growing, shrinking and
 * further seals before its descriptor leaves the process, so that no peer can
 * turn an access into SIGBUS. Whoever receives it verifies exactly that.
 */
export class Region {
  #retired = false;
  #isLent = false;

  private constructor(
    /** The mapped bytes. Their content can change at any time while the peer lives. */
    readonly memory: ArrayBuffer,
    /** Length of the file in bytes. */
    readonly length: number,
  ) {}

  /**
   * Creates, maps and seals a region. The descriptor is there to be passed once,
   * and closed then: a mapping needs none.
   * @param length bytes, a multiple of 4096
   * @param seals those that it has from the start
   * @throws ENOMEM, EMFILE, ENFILE as the kernel does
   */
  static create(
    length: number,
    layout: Layout,
    seals: number = REQUIRED_SEALS,
  ): { region: Region; descriptor: Descriptor } {
    const descriptor = native().createMemory('shmloop', length);
    let region: Region | undefined;
    try {
      region = new Region(mapAs(descriptor, length, layout), length);
      native().sealMemory(descriptor, seals);
      return { region, descriptor };
    } catch (error) {
      region?.retire();
      descriptor.close();
      throw error;
    }
  }

  /**
   * Maps a region that a peer passed, after checking it; takes the descriptor.
   * @param length the size that the protocol demands: never a value from shared memory
   * @param seals those that it must have besides the ones of any region
   * @throws ERR_SHMLOOP_REGION when it is not sealed, not on tmpfs, or of another size
   */
  static adopt(descriptor: Descriptor, length: number, layout: Layout, seals = 0): Region {
    try {
      verify(descriptor, length, REQUIRED_SEALS | seals);
      return new Region(mapAs(descriptor, length, layout), length);
    } finally {
      descriptor.close();
    }
  }

  /**
   * Takes pages from the kernel now, so that this process and no other is charged for them.
   * @throws ENOMEM, EFAULT when there are none
   */
  populate(offset: number, length: number): void {
    native().populateMapping(this.memory, offset, length);
  }

  /** Whether the application, which it was lent to, has moved it into an ArrayBuffer of its own. */
  get isTaken(): boolean {
    return this.memory.byteLength === 0;
  }

  /**
   * Lets go of the shared pages. If views of it were lent to the application ({@link lend}) they stay
   * valid, private and zero, and the address range goes when the last of them is collected: its thread
   * pool may hold a pointer. Otherwise all is gone at once.
   */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    if (this.#isLent) native().retireMapping(this.memory);
    else native().unmapMemory(this.memory);
  }

  /**
   * V8 does not take the memory for pressure on its heap: it would collect at every few rings. It is kept until
   * {@link retire} then, and no code of the application may have it: see {@link lend}.
   */
  hide(): void {
    if (!this.#isLent) native().hideMapping(this.memory);
  }

  /** To be called before a view of the memory leaves the library. */
  lend(): void {
    if (this.#isLent) return;
    this.#isLent = true;
    native().showMapping(this.memory);
  }
}

function mapAs(descriptor: Descriptor, length: number, layout: Layout): ArrayBuffer {
  if (layout !== 'ring') return native().mapMemory(descriptor, length, layout === 'private');
  return native().mapRing(descriptor, RING.controlLength, length - RING.controlLength);
}

function verify(descriptor: Descriptor, length: number, required: number): void {
  const [size, seals, tmpfs] = native().inspectMemory(descriptor);
  if (!tmpfs || seals === -1) throw new ShmloopError('ERR_SHMLOOP_REGION', 'the region is not a sealable memfd');
  if ((seals & required) !== required) {
    throw new ShmloopError('ERR_SHMLOOP_REGION', `the region is not sealed: seals ${seals}`);
  }
  if (size !== length || length % PAGE !== 0) {
    throw new ShmloopError('ERR_SHMLOOP_REGION', `the region has ${size} bytes in place of ${length}`);
  }
}
