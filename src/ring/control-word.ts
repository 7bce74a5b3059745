import { ShmloopError } from '../errors.js';
import { CONTROL, RING } from '../layout.js';
import { native } from '../native.js';
import { clearBits, load, replace, type Words } from '../words.js';

/** How a side of a ring sleeps: on its domain's event loop, or blocked in the kernel. */
export type Sleep = 'event' | 'futex';

const WORD = RING.controlWord;
const WRITER = CONTROL.writerParked | CONTROL.writerOnFutex;
const READER = CONTROL.readerParked | CONTROL.readerOnFutex;

/** Bytes available to the writer, range-checked: the peer may have written anything. */
export function available(seen: number, capacity: number, atLeast: number, atMost: number): number {
  const bytes = seen & CONTROL.available;
  if (seen < 0 || bytes > capacity || bytes < atLeast || bytes > atMost) {
    throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', `the control word is out of range: ${seen}`);
  }
  return bytes;
}

/**
 * Marks a side as parked, if the word is still exactly `seen`: what made it park
 * is then still true, and whoever changes it will see the mark.
 */
export function parkReader(words: Words, seen: number, sleep: Sleep): boolean {
  return replace(words, WORD, seen, seen | (sleep === 'futex' ? READER : CONTROL.readerParked));
}

export function parkWriter(words: Words, seen: number, sleep: Sleep): boolean {
  return replace(words, WORD, seen, seen | (sleep === 'futex' ? WRITER : CONTROL.writerParked));
}

/**
 * Gives `taken` bytes back and marks the reader as gone, in one step, if the word is still exactly `seen`: writer and
 * reader agree on what nobody has read. The mark is none of the reader's own: a writer that is about to wake the reader
 * would clear it.
 */
export function leaveReader(words: Words, seen: number, taken: number): boolean {
  return replace(words, WORD, seen, ((seen + taken) & ~READER) | CONTROL.writerOnFutex);
}

/** Of a ring whose writer never blocks. */
export function hasReaderLeft(seen: number): boolean {
  return (seen & CONTROL.writerOnFutex) !== 0;
}

/** Takes back one's own mark, after a wait that ended for whatever reason. */
export function unparkReader(words: Words): void {
  clearBits(words, WORD, READER);
}

export function unparkWriter(words: Words): void {
  clearBits(words, WORD, WRITER);
}

/**
 * Wakes the reader that was seen parked. Decided by what the clearing step
 * found, not by what was seen before: between the two it may have turned from
 * its event loop to a blocking call, or gone on by itself.
 */
export function wakeReader(words: Words, notify: () => void): void {
  const parked = clearBits(words, WORD, READER);
  if (parked & CONTROL.readerOnFutex) futexWake(words);
  else if (parked & CONTROL.readerParked) notify();
}

export function wakeWriter(words: Words, notify: () => void): void {
  const parked = clearBits(words, WORD, WRITER);
  if (parked & CONTROL.writerOnFutex) futexWake(words);
  else if (parked & CONTROL.writerParked) notify();
}

/**
 * Blocks this thread while its own mark stands and the word does not change.
 * @returns false when the time was up
 */
export function waitReader(words: Words, milliseconds: number): boolean {
  return futexWait(words, CONTROL.readerOnFutex, milliseconds);
}

export function waitWriter(words: Words, milliseconds: number): boolean {
  return futexWait(words, CONTROL.writerOnFutex, milliseconds);
}

/** Blocks this thread without a mark: nobody wakes it. @returns false when the time was up */
export function rest(words: Words, milliseconds: number): boolean {
  return native().futexWait(words.buffer as ArrayBuffer, words.byteOffset, load(words, WORD), milliseconds);
}

function futexWait(words: Words, mark: number, milliseconds: number): boolean {
  const parked = load(words, WORD);
  if ((parked & mark) === 0) return true;
  return native().futexWait(words.buffer as ArrayBuffer, words.byteOffset, parked, milliseconds);
}

function futexWake(words: Words): void {
  native().futexWake(words.buffer as ArrayBuffer, words.byteOffset);
}
