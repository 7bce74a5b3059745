import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CONTROL, FRAME, frameLength, PAGE, RING } from '../../src/layout.js';
import type { Sleep } from '../../src/ring/index.js';
import { load } from '../../src/words.js';
import { makeRing, pattern, type Ring } from '../support/ring.js';

const CAPACITY = PAGE;
const QUARTER = CAPACITY / FRAME.maxPartOfRing;

/** What the ring is, said simply: a queue of frames, each somewhere on its way, and who sleeps. */
class Model {
  /** Filled, not yet published. */
  readonly filled: Buffer[] = [];
  /** Published, not yet taken. */
  readonly published: Buffer[] = [];
  /** Bytes taken, not yet released. */
  taken = 0;
  frames = 0;
  reader: Sleep | undefined;
  writer: Sleep | undefined;
  readonly notified = { reader: 0, writer: 0 };

  get filledBytes(): number {
    return bytesOf(this.filled);
  }

  get publishedBytes(): number {
    return bytesOf(this.published);
  }

  get free(): number {
    return CAPACITY - this.filledBytes - this.publishedBytes - this.taken;
  }

  publish(): void {
    if (this.filled.length === 0) return;
    this.published.push(...this.filled.splice(0));
    if (this.reader === 'event') this.notified.reader++;
    this.reader = undefined;
  }

  release(): void {
    if (this.taken === 0) return;
    this.taken = 0;
    if (this.writer === undefined || CAPACITY - this.publishedBytes < QUARTER) return;
    if (this.writer === 'event') this.notified.writer++;
    this.writer = undefined;
  }
}

interface Step {
  run(ring: Ring, model: Model): void;
  toString(): string;
}

function step(name: string, run: Step['run']): Step {
  return { run, toString: () => name };
}

const sleep = fc.constantFrom<Sleep>('event', 'event', 'futex');
const payload = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0, max: QUARTER - FRAME.headerLength }),
  fc.constantFrom(0, 1, 7, 8, 9, QUARTER - FRAME.headerLength),
);

const writerStep = fc.oneof(
  { weight: 6, arbitrary: payload.map((length) => step(`fill ${length}`, (r, m) => fill(r, m, length))) },
  { weight: 3, arbitrary: fc.constant(step('publish', publish)) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(payload, sleep)
      .map(([length, how]) => step(`park the writer for ${length}`, (r, m) => parkWriter(r, m, length, how))),
  },
  { weight: 1, arbitrary: fc.constant(step('unpark the writer', unparkWriter)) },
);

const readerStep = fc.oneof(
  { weight: 3, arbitrary: fc.constant(step('observe', observe)) },
  {
    weight: 6,
    arbitrary: fc.integer({ min: 1, max: 20 }).map((count) => step(`take ${count}`, (r, m) => take(r, m, count))),
  },
  { weight: 3, arbitrary: fc.constant(step('release', release)) },
  { weight: 2, arbitrary: sleep.map((how) => step('park the reader', (r, m) => parkReader(r, m, how))) },
  { weight: 1, arbitrary: fc.constant(step('unpark the reader', unparkReader)) },
);

function fill({ writer }: Ring, model: Model, length: number): void {
  const size = frameLength(length);
  const hasRoom = model.free >= size;
  expect(writer.hasRoom(size)).toBe(hasRoom);
  if (!hasRoom) return;
  const bytes = pattern(length, model.frames++);
  writer.fillHeader(model.frames, length);
  writer.fill(FRAME.headerLength, bytes, 0, length);
  writer.advance(size);
  model.filled.push(bytes);
}

function publish({ writer }: Ring, model: Model): void {
  writer.publish();
  model.publish();
  expect(writer.unpublished).toBe(0);
}

/** Parking publishes first, and never succeeds while there is room. */
function parkWriter({ writer }: Ring, model: Model, length: number, how: Sleep): void {
  const parked = writer.park(frameLength(length), how);
  model.publish();
  expect(parked).toBe(model.free < frameLength(length));
  if (parked) model.writer = model.writer === 'futex' ? 'futex' : how;
}

function unparkWriter({ writer }: Ring, model: Model): void {
  writer.unpark();
  model.writer = undefined;
}

function observe({ reader }: Ring, model: Model): void {
  expect(reader.observe()).toBe(model.publishedBytes);
}

function take({ reader }: Ring, model: Model, count: number): void {
  for (let i = 0; i < count && reader.unread > 0; i++) {
    const expected = model.published.shift() as Buffer;
    const length = reader.headerWord(1);
    expect(length).toBe(expected.length);
    const bytes = Buffer.alloc(length);
    reader.copyOut(FRAME.headerLength, length, bytes, 0);
    expect(bytes.equals(expected)).toBe(true);
    reader.take(frameLength(length));
    model.taken += frameLength(length);
  }
}

function release({ reader }: Ring, model: Model): void {
  reader.release();
  model.release();
  expect(reader.taken).toBe(0);
}

/** Parking releases first, and never succeeds while there is something to read. */
function parkReader({ reader }: Ring, model: Model, how: Sleep): void {
  const parked = reader.park(how);
  model.release();
  expect(parked).toBe(model.published.length === 0);
  if (parked) model.reader = model.reader === 'futex' ? 'futex' : how;
}

function unparkReader({ reader }: Ring, model: Model): void {
  reader.unpark();
  model.reader = undefined;
}

/** The shared word says exactly what the model knows. */
function check({ memory, notified }: Ring, model: Model): void {
  const bytes = CAPACITY - model.publishedBytes - model.taken;
  const reader = marks(model.reader, CONTROL.readerParked, CONTROL.readerOnFutex);
  const writer = marks(model.writer, CONTROL.writerParked, CONTROL.writerOnFutex);
  expect(load(memory.control, RING.controlWord)).toBe(bytes | reader | writer);
  expect(notified.reader).toBe(model.notified.reader);
  expect(notified.writer).toBe(model.notified.writer);
}

function marks(sleep: Sleep | undefined, parked: number, onFutex: number): number {
  if (sleep === undefined) return 0;
  return sleep === 'futex' ? parked | onFutex : parked;
}

function bytesOf(frames: readonly Buffer[]): number {
  return frames.reduce((sum, { length }) => sum + frameLength(length), 0);
}

test('any interleaving of the two ends behaves as a queue of frames with exact wake-ups', () => {
  let frames = 0;
  const steps = fc.array(fc.oneof(writerStep, readerStep), { minLength: 1, maxLength: 400, size: 'max' });
  fc.assert(
    fc.property(steps, (all) => {
      const ring = makeRing(CAPACITY);
      const model = new Model();
      for (const one of all) {
        one.run(ring, model);
        check(ring, model);
      }
      frames += model.frames;
      ring.memory.region.retire();
    }),
    { numRuns: 200 },
  );
  expect(frames).toBeGreaterThan(2000);
});

test('offsets wrap at every alignment without a byte out of place', () => {
  fc.assert(
    fc.property(fc.array(payload, { minLength: 1, maxLength: 12 }), (lengths) => {
      const ring = makeRing(CAPACITY);
      const model = new Model();
      for (let round = 0; round < 40; round++) {
        for (const length of lengths) fill(ring, model, length);
        publish(ring, model);
        observe(ring, model);
        take(ring, model, lengths.length);
        release(ring, model);
        check(ring, model);
      }
      ring.memory.region.retire();
    }),
    { numRuns: 50 },
  );
});
