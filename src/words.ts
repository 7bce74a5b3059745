/**
 * Atomic steps on 32-bit words of shared memory; the only module that uses
 * `Atomics`. Every step is sequentially consistent: plain accesses before it are
 * visible to whoever observes it.
 */
export type Words = Int32Array;

export function load(words: Words, index: number): number {
  return Atomics.load(words, index);
}

export function store(words: Words, index: number, value: number): void {
  Atomics.store(words, index, value);
}

/** @returns the value before */
export function add(words: Words, index: number, value: number): number {
  return Atomics.add(words, index, value);
}

/** @returns the value before */
export function subtract(words: Words, index: number, value: number): number {
  return Atomics.sub(words, index, value);
}

/** @returns the value before */
export function setBits(words: Words, index: number, bits: number): number {
  return Atomics.or(words, index, bits);
}

/** @returns the value before */
export function clearBits(words: Words, index: number, bits: number): number {
  return Atomics.and(words, index, ~bits);
}

/** @returns the value before */
export function exchange(words: Words, index: number, value: number): number {
  return Atomics.exchange(words, index, value);
}

/** @returns whether the word was `expected`, and now is `value` */
export function replace(words: Words, index: number, expected: number, value: number): boolean {
  return Atomics.compareExchange(words, index, expected, value) === expected;
}

const ownWord = new Int32Array(1);

/**
 * Orders plain accesses of shared memory: those before it come before the atomic steps behind it, and those behind
 * it after the atomic steps before it. An atomic step by itself holds back only one side of that.
 */
export function fence(): void {
  Atomics.add(ownWord, 0, 1);
}
