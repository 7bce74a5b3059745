import { checkOptions, checkSignal, invalid, ShmloopError } from '../errors.js';
import { PAGE } from '../layout.js';
import { limited, type Settler } from '../settler.js';
import { createRegion, insideOf, type SharedRegion } from './shared-region.js';

/** Options of a {@link RegionPool}. */
export interface RegionPoolOptions {
  /** Bytes of all blocks together, rounded up to a power of two. Default 67108864 (64 MiB). */
  size?: number;
}

const DEFAULT_SIZE = 64 * 1024 * 1024;
const MAX_SIZE = 2 ** 31;
/** The smallest block: a page, as an exponent of two. */
const MIN_ORDER = Math.log2(PAGE);

interface Waiter {
  readonly length: number;
  readonly settler: Settler<PoolBlock>;
}

/** Takes blocks over for a message: all of them or none. @returns what gives them back @throws ERR_SHMLOOP_POOL */
export let takeOver: (blocks: readonly PoolBlock[]) => () => void;

/**
 * A piece of a {@link RegionPool}'s memory. It is the caller's until it is sent, or freed: the collector does not give it
 * back, since some `subarray` may still be written to that nobody else knows of. `using` frees it if it was not sent.
 */
export class PoolBlock implements Disposable {
  static {
    takeOver = (blocks) => {
      for (const block of blocks) block.#checkOut();
      for (const block of blocks) block.#takeOver();
      return () => {
        for (const block of blocks) block.#letGo();
      };
    };
  }

  /** Its bytes, with whatever was in them. */
  readonly buffer: Buffer;
  /** The region that it is in, and from which byte on. */
  readonly region: SharedRegion;
  readonly offset: number;
  /** Bytes that were asked for. */
  readonly length: number;
  #giveBack: (() => void) | undefined;
  #isCallers = true;
  /** Messages that it was sent in, and that were not released. */
  #messages = 0;

  /** Made by {@link RegionPool.allocate}. */
  constructor(region: SharedRegion, offset: number, length: number, giveBack: () => void) {
    this.region = region;
    this.offset = offset;
    this.length = length;
    this.buffer = region.buffer.subarray(offset, offset + length);
    this.#giveBack = giveBack;
  }

  /** Gives it back unsent. Once it is sent, or back, this does nothing. */
  free(): void {
    if (!this.#isCallers) return;
    this.#isCallers = false;
    this.#settle();
  }

  /** As {@link free}: for `using`. */
  [Symbol.dispose](): void {
    this.free();
  }

  #checkOut(): void {
    if (this.#giveBack === undefined) throw new ShmloopError('ERR_SHMLOOP_POOL', 'the block is back in its pool');
  }

  /** From here on it is the message's; it can go into others at the same time, for other receivers. */
  #takeOver(): void {
    this.#isCallers = false;
    this.#messages++;
  }

  #letGo(): void {
    this.#messages--;
    this.#settle();
  }

  #settle(): void {
    if (this.#isCallers || this.#messages > 0) return;
    const giveBack = this.#giveBack;
    this.#giveBack = undefined;
    giveBack?.();
  }
}

/**
 * Shared memory for messages: allocate a block, fill it, and send it with `channel.sendRegion(block)`; it comes
 * back by itself when the receiver releases the message. The block that came back last is used first, while its
 * pages are still in the cache. Blocks are of powers of two, from 4096 bytes.
 */
export class RegionPool implements Disposable {
  /** The one region that all blocks are in, live and writable by this process alone. Its end is the pool's. */
  readonly region: SharedRegion;
  readonly #order: number;
  /** Offsets of free blocks, by order: the last that came is the first to go. */
  readonly #free: number[][];
  readonly #waiters: Waiter[] = [];
  #used = 0;

  /** @throws as `createRegion` does */
  constructor(options: RegionPoolOptions = {}) {
    checkOptions(options);
    const { size = DEFAULT_SIZE } = options;
    if (!Number.isInteger(size) || size < 1 || size > MAX_SIZE)
      throw invalid`a size is from 1 to ${MAX_SIZE}, not ${size}`;
    this.#order = orderOf(size);
    this.region = createRegion(2 ** this.#order);
    // Also keeps the region from being sealed: what is written to a block would stay here.
    insideOf(this.region).closing.add(() => this.#rejectAll());
    this.#free = Array.from({ length: this.#order + 1 }, () => []);
    this.#free[this.#order]?.push(0);
  }

  /** Bytes of all blocks together. */
  get size(): number {
    return this.region.length;
  }

  /** Bytes in blocks that are not free, as powers of two. */
  get used(): number {
    return this.#used;
  }

  /**
   * @param length bytes
   * @throws ERR_SHMLOOP_POOL when no block of that size is free; ERR_SHMLOOP_CLOSED; ERR_SHMLOOP_REGION when the
   *   application transferred the memory; ERR_SHMLOOP_INVALID_ARGUMENT
   */
  allocate(length: number): PoolBlock {
    this.#check(length);
    const block = this.#tryAllocate(length);
    if (block !== undefined) return block;
    throw new ShmloopError('ERR_SHMLOOP_POOL', `${this.#used} of ${this.size} bytes are in use: no ${length} are free`);
  }

  /**
   * The same, and waits for a block to come back, behind those who asked before.
   * @throws the signal's reason; as {@link allocate} otherwise
   */
  async allocateWhenFree(length: number, options: { signal?: AbortSignal } = {}): Promise<PoolBlock> {
    checkOptions(options);
    const { signal } = options;
    checkSignal(signal);
    this.#check(length);
    signal?.throwIfAborted();
    const block = this.#waiters.length === 0 ? this.#tryAllocate(length) : undefined;
    if (block !== undefined) return block;
    return new Promise((resolve, reject) => {
      const giveUp = (error: Error) => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        waiter.settler.reject(error);
        this.#serve();
      };
      const settler = limited({ resolve, reject }, { signal, timedOut: () => undefined }, giveUp);
      const waiter: Waiter = { length, settler };
      this.#waiters.push(waiter);
    });
  }

  /** Lets go of the memory, as the region's `close` does: receivers keep what they have. */
  close(): void {
    this.region.close();
  }

  /** As {@link close}: for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #check(length: number): void {
    if (!Number.isInteger(length) || length < 1 || length > this.size) {
      throw invalid`a block is of 1 to ${this.size} bytes, not ${length}`;
    }
    if (this.region.closed) throw closed();
    if (this.region.buffer.length === 0) {
      throw new ShmloopError('ERR_SHMLOOP_REGION', 'the application transferred the memory');
    }
  }

  #tryAllocate(length: number): PoolBlock | undefined {
    const order = orderOf(length);
    const offset = this.#take(order) ?? this.#takeMerged(order);
    if (offset === undefined) return undefined;
    this.#used += 2 ** order;
    return new PoolBlock(this.region, offset, length, () => this.#giveBack(offset, order));
  }

  #take(order: number): number | undefined {
    let from = order;
    while (from <= this.#order && this.#free[from]?.length === 0) from++;
    const offset = this.#free[from]?.pop();
    if (offset === undefined) return undefined;
    // Of each split the lower half goes on, and the upper one is free.
    for (let half = from - 1; half >= order; half--) this.#free[half]?.push(offset + 2 ** half);
    return offset;
  }

  /** Blocks are put together only where that is needed: most come back to be used at the same size. */
  #takeMerged(order: number): number | undefined {
    if (this.size - this.#used < 2 ** order) return undefined;
    for (let half = MIN_ORDER; half < order; half++) this.#merge(half);
    return this.#take(order);
  }

  #merge(order: number): void {
    const halves = new Set(this.#free[order]);
    for (const offset of halves) {
      const buddy = offset ^ (2 ** order);
      if (!halves.has(buddy)) continue;
      halves.delete(offset);
      halves.delete(buddy);
      this.#free[order + 1]?.push(Math.min(offset, buddy));
    }
    this.#free[order] = [...halves];
  }

  #giveBack(offset: number, order: number): void {
    this.#used -= 2 ** order;
    this.#free[order]?.push(offset);
    this.#serve();
  }

  #rejectAll(): void {
    for (const { settler } of this.#waiters.splice(0)) settler.reject(closed());
  }

  #serve(): void {
    while (this.#waiters.length > 0 && !this.region.closed) {
      const [{ length, settler }] = this.#waiters as [Waiter];
      const block = this.#tryAllocate(length);
      if (block === undefined) return;
      this.#waiters.shift();
      settler.resolve(block);
    }
  }
}

function orderOf(length: number): number {
  return Math.max(MIN_ORDER, 32 - Math.clz32(length - 1));
}

function closed(): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_CLOSED', 'the pool is closed');
}
