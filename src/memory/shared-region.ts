import { constants } from 'node:buffer';
import { checkOptions, invalid, ShmloopError } from '../errors.js';
import { PAGE } from '../layout.js';
import { type Descriptor, native } from '../native.js';
import { Region, SEAL } from './region.js';

/** Options of {@link createRegion}. */
export interface RegionOptions {
  /**
   * Who may write. `'owner'`: this process alone, which the kernel enforces; peers can be granted `'read'`.
   * `'peers'`: whoever is granted `'write'`; nobody can be granted `'read'` then, since that could not be
   * enforced. Default `'owner'`.
   */
  writable?: 'owner' | 'peers';
}

/** What a peer that has the memory can do with it, enforced by seals. */
export type Sharing = 'read' | 'write' | 'immutable';

/** Seals that each of them has, besides those of any region that crosses a link. */
export const SHARING_SEALS: Readonly<Record<Sharing, number>> = {
  read: SEAL.futureWrite,
  write: 0,
  immutable: SEAL.write,
};

/** What the library itself may do with a region. */
export interface RegionInside {
  readonly sharing: Sharing;
  /** Who uses it as it is, each told once when the region is closed: a grant, a pool. */
  readonly closing: Set<() => void>;
  /**
   * The descriptor, sealed for good, to be passed to a peer.
   * @param use is given it and what to call when it is not needed any more: the region may be closed before
   */
  pass(use: (descriptor: Descriptor, done: () => void) => void): void;
}

/** The inner half of a region. */
export let insideOf: (region: SharedRegion) => RegionInside;

/**
 * Shared memory that this process made, to be granted to peers or sent to them without a copy.
 *
 * It is *live*: its writers can change it while others look at it, so that peers of another user map it only
 * if they trust this one explicitly. After {@link seal} it is *immutable*, and safe to take from anybody.
 */
export class SharedRegion implements Disposable {
  static {
    insideOf = (region) => region.#inside;
  }

  /** All of its bytes. After {@link close} they are private and zero. */
  readonly buffer: Buffer;
  /** Bytes: what was asked for, rounded up to pages of 4096. */
  readonly length: number;
  /** Who may write. */
  readonly writable: 'owner' | 'peers';
  readonly #region: Region;
  readonly #descriptor: Descriptor;
  readonly #inside: RegionInside;
  #isImmutable = false;
  /** All seals are there: it was passed, or is immutable. */
  #isSealed = false;
  #isClosed = false;
  /** Those who are passing the descriptor. */
  #users = 1;

  /** Made by {@link createRegion}. */
  constructor(length: number, writable: 'owner' | 'peers') {
    // Its size never changes from now on; the other seals come before it leaves the process.
    const { region, descriptor } = Region.create(length, 'plain', SEAL.shrink | SEAL.grow);
    region.lend();
    this.#region = region;
    this.#descriptor = descriptor;
    this.buffer = Buffer.from(region.memory);
    this.length = length;
    this.writable = writable;
    const self = this;
    this.#inside = {
      get sharing() {
        return self.#sharing;
      },
      closing: new Set(),
      pass: (use) => this.#pass(use),
    };
  }

  /** Whether its bytes can never change again. */
  get immutable(): boolean {
    return this.#isImmutable;
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#isClosed;
  }

  /**
   * Makes it immutable for good: nobody can change its bytes any more, which the kernel enforces. What is
   * written to {@link buffer} afterwards stays private to this process.
   * @throws ERR_SHMLOOP_GRANT when it is granted or a pool's, or was sent or mapped already; ERR_SHMLOOP_CLOSED;
   *   EBUSY when the kernel still writes to it (direct I/O)
   */
  seal(): this {
    if (this.#isImmutable) return this;
    this.#checkOpen();
    // Who was granted a live one maps it as that, and who has a block of a pool writes to it.
    if (this.#isSealed || this.#inside.closing.size > 0) {
      throw new ShmloopError('ERR_SHMLOOP_GRANT', 'the region is in use as a live one: granted, sent, or a pool');
    }
    // The kernel seals only what nobody has mapped for writing.
    native().remapMemory(this.#region.memory, this.#descriptor, true);
    try {
      native().sealMemory(this.#descriptor, SEAL.write | SEAL.seal);
    } catch (error) {
      native().remapMemory(this.#region.memory, this.#descriptor, false);
      throw error;
    }
    this.#isImmutable = true;
    this.#isSealed = true;
    return this;
  }

  /**
   * Lets go of the memory. Grants of it are revoked; peers that have it mapped keep it until they let go.
   * Views of {@link buffer} stay valid, private and zero.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const close of [...this.#inside.closing]) close();
    this.#inside.closing.clear();
    this.#region.retire();
    this.#release();
  }

  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  get #sharing(): Sharing {
    if (this.#isImmutable) return 'immutable';
    return this.writable === 'owner' ? 'read' : 'write';
  }

  #pass(use: (descriptor: Descriptor, done: () => void) => void): void {
    this.#checkOpen();
    if (!this.#isSealed) {
      native().sealMemory(this.#descriptor, SEAL.seal | SHARING_SEALS[this.#sharing]);
      this.#isSealed = true;
    }
    this.#users++;
    use(this.#descriptor, () => this.#release());
  }

  #release(): void {
    if (--this.#users === 0) this.#descriptor.close();
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new ShmloopError('ERR_SHMLOOP_CLOSED', 'the region is closed');
  }
}

/**
 * Makes a region of shared memory, of zeros. Its pages come when they are touched.
 * @param size bytes, from 1 to Node's `buffer.constants.MAX_LENGTH` less 4096
 * @throws ERR_SHMLOOP_INVALID_ARGUMENT; ENOMEM, EMFILE, ENFILE as the kernel does; ERR_SHMLOOP_UNSUPPORTED
 */
export function createRegion(size: number, options: RegionOptions = {}): SharedRegion {
  checkOptions(options);
  const { writable = 'owner' } = options;
  if (!Number.isSafeInteger(size) || size < 1 || size > constants.MAX_LENGTH - PAGE) {
    throw invalid`a size is an integer from 1 to ${constants.MAX_LENGTH - PAGE}, not ${size}`;
  }
  if (writable !== 'owner' && writable !== 'peers') throw invalid`writable is 'owner' or 'peers', not ${writable}`;
  return new SharedRegion(Math.ceil(size / PAGE) * PAGE, writable);
}
