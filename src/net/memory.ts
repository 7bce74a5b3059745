import { native } from '../native.js';

/** Bytes of private memory that small reads are carved from, as Node's own pool does. */
const SLAB = 64 * 1024;
const SMALL = 8 * 1024;
const POOLED = 16 * 1024;

let slab = new Uint8Array(0);
let used = 0;
let isLast = false;

/** Private memory for `length` bytes that arrive. */
export function roomFor(length: number): Uint8Array {
  isLast = length <= SMALL;
  if (!isLast) {
    const block = length < POOLED ? null : native().allocateBlock(length);
    return block === null ? new Uint8Array(Buffer.allocUnsafeSlow(length).buffer) : new Uint8Array(block, 0, length);
  }
  if (used + length > slab.length) {
    slab = new Uint8Array(Buffer.allocUnsafeSlow(SLAB).buffer);
    used = 0;
  }
  return slab.subarray(used, used + length);
}

/** So many bytes of what {@link roomFor} gave last are used. */
export function keep(length: number): void {
  if (isLast) used += (length + 7) & ~7;
}
