import { ShmloopError } from '../errors.js';
import { CURSOR } from '../layout.js';
import { exchange, load, store, type Words } from '../words.js';

const UNIT = 8;

/** How the publisher ended a subscription, by index; it did not if it died. */
const ENDINGS = ['none', 'closed', 'expelled'] as const;
export type Ending = (typeof ENDINGS)[number];

/** The reader's half of the words that a subscription shares with its publisher. */
export class ReaderCursor {
  readonly #words: Words;
  readonly #start: number;
  #told: number;

  /** @param start the position that it joins at */
  constructor(words: Words, start: number) {
    this.#words = words;
    this.#start = start;
    this.#told = start;
  }

  /** Gives back all before `position`. @returns whether the writer waits for just that, and is to be woken */
  release(position: number): boolean {
    if (position === this.#told) return false;
    this.#told = position;
    const consumed = ((position - this.#start) / UNIT) | 0;
    store(this.#words, CURSOR.consumed, consumed);
    if (load(this.#words, CURSOR.writerParked) === 0) return false;
    // Modulo 2^32, as the difference of two that are near to each other.
    if (((consumed - load(this.#words, CURSOR.wanted)) | 0) < 0) return false;
    return exchange(this.#words, CURSOR.writerParked, 0) === 1;
  }

  /** Asks to be woken at the next publication: to be followed by a look whether it came already. */
  park(): void {
    exchange(this.#words, CURSOR.readerParked, 1);
  }

  unpark(): void {
    exchange(this.#words, CURSOR.readerParked, 0);
  }

  /** How the publisher ended it, if it did. */
  get ending(): Ending {
    return ENDINGS[load(this.#words, CURSOR.ending)] ?? 'none';
  }
}

/** The writer's half. What it reads there, the reader may have written in any way. */
export class WriterCursor {
  readonly #words: Words;
  readonly #start: number;
  #position: number;

  constructor(words: Words, start: number) {
    this.#words = words;
    this.#start = start;
    this.#position = start;
  }

  /** Up to where the reader has read, as of the last look. */
  get position(): number {
    return this.#position;
  }

  /**
   * Looks up to where the reader has read.
   * @param published behind the last record that it can have read
   * @throws ERR_SHMLOOP_PROTOCOL when it went back, or too far
   */
  observe(published: number): number {
    const before = ((this.#position - this.#start) / UNIT) | 0;
    const read = ((load(this.#words, CURSOR.consumed) - before) >>> 0) * UNIT;
    if (read > published - this.#position) {
      throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', 'a subscription says that it has read what is not there');
    }
    this.#position += read;
    return this.#position;
  }

  /** Asks to be woken when the reader has read up to `position`: to be followed by a look whether it has already. */
  park(position: number): void {
    store(this.#words, CURSOR.wanted, ((position - this.#start) / UNIT) | 0);
    exchange(this.#words, CURSOR.writerParked, 1);
  }

  /** After a publication. @returns whether the reader sleeps, and is to be woken */
  wake(): boolean {
    return load(this.#words, CURSOR.readerParked) !== 0 && exchange(this.#words, CURSOR.readerParked, 0) !== 0;
  }

  end(ending: Ending): void {
    store(this.#words, CURSOR.ending, ENDINGS.indexOf(ending));
  }
}
