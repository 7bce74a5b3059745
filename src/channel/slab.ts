import { markAsUntransferable } from 'node:worker_threads';
import { native } from '../native.js';

/** Bytes of private memory that small messages are carved from. */
const SLAB = 64 * 1024;

let buffer = Buffer.allocUnsafeSlow(0);
let words = new Int32Array(0);
let used = 0;

/** Private memory for a span of the ring, as bytes and as 32-bit words. */
export interface Carved {
  readonly buffer: Buffer;
  readonly words: Int32Array;
  readonly start: number;
}

const carved = { buffer, words, start: 0 };

/**
 * Reserves private memory, 8-byte aligned, shared by the messages copied into it
 * as Node shares the memory of small reads. The result is valid until the next call.
 * @param length at most 32 KiB
 */
export function carve(length: number): Carved {
  if (used + length > buffer.length) {
    buffer = Buffer.allocUnsafeSlow(SLAB);
    // Transferring one message's memory would empty all the others.
    markAsUntransferable(buffer.buffer);
    words = new Int32Array(buffer.buffer, buffer.byteOffset, SLAB / 4);
    used = 0;
    carved.buffer = buffer;
    carved.words = words;
  }
  carved.start = used;
  used += (length + 7) & ~7;
  return carved;
}

/** Gives back the end of what was carved last, from `end` bytes after its start. */
export function trim(end: number): void {
  used = carved.start + ((end + 7) & ~7);
}

/** From here on a block that was used before beats fresh memory. */
const POOLED = 16 * 1024;

/**
 * Private memory for one message of `length` bytes, with whatever was in it.
 * @param isPooled whether it may come from the pool: only where the event loop turns, which gives blocks back
 */
export function allocate(length: number, isPooled: boolean): Buffer {
  const block = !isPooled || length < POOLED ? null : native().allocateBlock(length);
  return block === null ? Buffer.allocUnsafeSlow(length) : Buffer.from(block, 0, length);
}

let seen: ArrayBufferLike | undefined;
let seenWords: Int32Array = words;

/** All of the memory behind a buffer of Node's pool, as words. */
export function wordsOf(pooled: Buffer): Int32Array {
  if (pooled.buffer !== seen) {
    seen = pooled.buffer;
    seenWords = new Int32Array(seen);
  }
  return seenWords;
}
