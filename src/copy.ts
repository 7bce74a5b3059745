import { native } from './native.js';

/** From here on the native copy wins over `TypedArray.set`. */
const NATIVE_COPY = 4096;
/** From here on the memory's lines are not fetched from the cache of who read what was there before. */
const PAST_CACHE = 16 * 1024;

/** Copies `source` from `start` to `end` into shared memory that another core reads. */
export function copyIn(memory: Uint8Array, at: number, source: Uint8Array, start: number, end: number): void {
  const length = end - start;
  if (length >= PAST_CACHE) native().copyPastCache(memory, at, source, start, length);
  else if (length >= NATIVE_COPY) native().copy(memory, at, source, start, length);
  else if (start === 0 && end === source.length) memory.set(source, at);
  else memory.set(source.subarray(start, end), at);
}

/** Copies `length` bytes of shared memory, from `from` on, into private memory. */
export function copyOut(memory: Uint8Array, from: number, length: number, target: Uint8Array, at: number): void {
  if (length >= NATIVE_COPY) native().copy(target, at, memory, from, length);
  else target.set(memory.subarray(from, from + length), at);
}
