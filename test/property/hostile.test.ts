import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TYPE, typeAndId } from '../../src/channel/framing.js';
import { Receiver } from '../../src/channel/receiver.js';
import { Sender } from '../../src/channel/sender.js';
import { codeOf } from '../../src/errors.js';
import { CONTROL, MAX_PARTS_HEAD, PAGE, RING } from '../../src/layout.js';
import { RingReader } from '../../src/ring/index.js';
import { load, store } from '../../src/words.js';
import { makeRing, pattern, type Ring } from '../support/ring.js';
import { TestSink } from '../support/sink.js';

const CODES: unknown[] = ['ERR_SHMLOOP_PROTOCOL', 'ERR_SHMLOOP_MESSAGE_SIZE'];
const MAX_SIZE = 8192;

const anyWord = fc.oneof(
  fc.integer(),
  fc.integer({ min: 0, max: 2 * PAGE }),
  fc.constantFrom(0, 1, -1, 8, PAGE, PAGE + 1, PAGE - 1, 0x7fffffff, -0x80000000, CONTROL.available),
  fc.nat(PAGE).map((bytes) => bytes | CONTROL.writerParked | CONTROL.readerParked),
);
const header = fc.tuple(
  fc.oneof(fc.integer(), fc.nat(15)),
  fc.oneof(fc.integer(), fc.nat(1100), fc.constantFrom(-1, -8, 1016, 1017, 4088)),
);

/** @returns whether it went well; throws when it fails in another way than it may */
function attempt(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (!CODES.includes(codeOf(error))) throw error;
    return false;
  }
}

function setWord({ memory }: Ring, value: number): void {
  store(memory.control, RING.controlWord, value);
}

test('a reader bears any value of the control word at any time', () => {
  const steps = fc.array(fc.tuple(anyWord, fc.constantFrom('observe', 'take', 'release', 'park')), { maxLength: 20 });
  fc.assert(
    fc.property(steps, (all) => {
      const ring = makeRing();
      for (const [word, what] of all) {
        setWord(ring, word);
        const went = attempt(() => {
          if (what === 'observe') ring.reader.observe();
          else if (what === 'take') ring.reader.take(Math.min(ring.reader.unread, 8));
          else if (what === 'release') ring.reader.release();
          else ring.reader.park('event');
        });
        expect(ring.reader.unread + ring.reader.taken).toBeLessThanOrEqual(PAGE);
        expect(ring.reader.unread).toBeGreaterThanOrEqual(0);
        if (!went) break;
      }
    }),
    { numRuns: 500 },
  );
});

test('a writer bears any value of the control word at any time, and never fills more than the ring holds', () => {
  const steps = fc.array(fc.tuple(anyWord, fc.constantFrom('fill', 'publish', 'park')), { maxLength: 20 });
  fc.assert(
    fc.property(steps, (all) => {
      const ring = makeRing();
      let filled = 0;
      for (const [word, what] of all) {
        const before = load(ring.memory.control, RING.controlWord);
        setWord(ring, word);
        const went = attempt(() => {
          if (what === 'publish') ring.writer.publish();
          else if (what === 'park') ring.writer.park(64, 'event');
          else if (ring.writer.hasRoom(64)) {
            ring.writer.advance(64);
            filled += 64;
          }
        });
        expect(ring.writer.unpublished).toBeLessThanOrEqual(PAGE);
        // All that is granted is free by the word that granted it, or by one before.
        if (what === 'fill' && filled > PAGE) expect(Math.max(word & CONTROL.available, before)).toBeGreaterThan(0);
        if (!went) break;
      }
    }),
    { numRuns: 500 },
  );
});

test('a control word out of range is an error of the protocol to both ends', () => {
  for (const word of [PAGE + 1, -1, -0x80000000, CONTROL.available, PAGE + 8 + CONTROL.writerParked]) {
    const ring = makeRing();
    setWord(ring, word);
    expect(() => ring.reader.observe()).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_PROTOCOL' }));
    expect(() => ring.writer.hasRoom(2 * PAGE)).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_PROTOCOL' }));
  }
});

test('bytes that the writer takes back are an error of the protocol', () => {
  const ring = makeRing();
  setWord(ring, PAGE - 64);
  expect(ring.reader.observe()).toBe(64);
  setWord(ring, PAGE - 32);
  expect(() => ring.reader.observe()).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_PROTOCOL' }));
});

test('room that the reader takes back is an error of the protocol', () => {
  const ring = makeRing();
  expect(ring.writer.hasRoom(PAGE)).toBe(true);
  setWord(ring, 0);
  expect(() => ring.writer.hasRoom(2 * PAGE)).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_PROTOCOL' }));
});

test('a receiver bears any frames and any control word: a coded error, or messages within the limit', () => {
  const frames = fc.array(fc.tuple(header, fc.nat(80)), { maxLength: 12 });
  fc.assert(
    fc.property(frames, anyWord, fc.boolean(), fc.nat(15), (all, word, views, unwanted) => {
      const ring = makeRing();
      fillAtRandom(ring, all);
      setWord(ring, word);
      const sink = new TestSink();
      sink.wants = (type) => type !== unwanted;
      if (views) sink.view = (data) => sink.receive(TYPE.message, 0, data);
      const receiver = new Receiver(ring.reader, sink, MAX_SIZE);
      for (let turn = 0; turn < 3; turn++) {
        if (!attempt(() => receiver.fill())) break;
      }
      expectWithin(sink);
    }),
    { numRuns: 2000 },
  );
});

/** A peer that turns the frames into others just when the receiver has looked at their headers. */
class Turncoat extends RingReader {
  meanwhile: () => void = () => undefined;

  override copyOut(...args: Parameters<RingReader['copyOut']>): void {
    this.meanwhile();
    super.copyOut(...args);
  }
}

test('a receiver bears frames that change while it reads them', () => {
  const frames = fc.array(fc.tuple(header, fc.nat(80)), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(frames, fc.array(header), anyWord, (all, changes, word) => {
      const ring = makeRing(PAGE, Turncoat);
      const honest: typeof all = all.map(([, size]) => [[typeAndId(TYPE.message, 0), size], size]);
      fillAtRandom(ring, honest);
      setWord(ring, PAGE - honest.reduce((sum, [, size]) => sum + 8 + ((size + 7) & ~7), 0));
      (ring.reader as Turncoat).meanwhile = () => {
        changes.forEach(([first, length], i) => {
          ring.memory.words[i * 2] = first;
          ring.memory.words[i * 2 + 1] = length;
        });
        setWord(ring, word);
      };
      const sink = new TestSink();
      const receiver = new Receiver(ring.reader, sink, MAX_SIZE);
      for (let turn = 0; turn < 3; turn++) {
        if (!attempt(() => receiver.fill())) break;
      }
      expectWithin(sink);
    }),
    { numRuns: 1000 },
  );
});

test('what was received stays as it was when the peer changes the ring behind it', () => {
  const ring = makeRing();
  const failed: unknown[] = [];
  const sender = new Sender(ring.writer, (error) => failed.push(error));
  for (const length of [1, 100, 255, 1000]) sender.send(TYPE.message, 0, pattern(length, length));
  sender.publish();
  const sink = new TestSink();
  new Receiver(ring.reader, sink, MAX_SIZE).fill();
  ring.memory.bytes.fill(0xee);
  expect(sink.received.map(({ data }) => data)).toEqual([1, 100, 255, 1000].map((length) => pattern(length, length)));
});

test('a sender tells of a broken ring, and throws nothing at who publishes for it', () => {
  const failed: unknown[] = [];
  const ring = makeRing();
  const sender = new Sender(ring.writer, (error) => failed.push(codeOf(error)));
  sender.send(TYPE.message, 0, pattern(10, 1));
  setWord(ring, 3);
  sender.publish();
  expect(failed).toEqual(['ERR_SHMLOOP_PROTOCOL']);
});

test.each([
  ['a part of nothing', [[TYPE.part, 8]]],
  ['an announcement of another length', [[TYPE.large, 16]]],
  ['an unknown type', [[9, 0]]],
  ['type 0', [[0, 0]]],
  ['a negative length', [[TYPE.message, -8]]],
  ['a frame longer than what was published', [[TYPE.message, 500]]],
])('%s is an error of the protocol', (_name, headers) => {
  const ring = makeRing();
  headers.forEach(([first, length], i) => {
    ring.memory.words[i * 2] = first as number;
    ring.memory.words[i * 2 + 1] = length as number;
  });
  setWord(ring, PAGE - 64);
  const receiver = new Receiver(ring.reader, new TestSink(), MAX_SIZE);
  expect(() => receiver.fill()).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_PROTOCOL' }));
});

test('a large frame longer than what was published is an error of the protocol', () => {
  const ring = makeRing(1 << 20);
  ring.memory.words.set([TYPE.message, 100_000]);
  setWord(ring, (1 << 20) - 64);
  const sink = new TestSink();
  const receiver = new Receiver(ring.reader, sink, 1 << 20);
  expect(() => receiver.fill()).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_PROTOCOL' }));
  expect(sink.received).toEqual([]);
});

test('a large message is checked against the limit when it is announced, before memory is taken for it', () => {
  const ring = makeRing();
  const { words } = ring.memory;
  words.set([TYPE.large, 8, TYPE.message, MAX_SIZE + 1]);
  setWord(ring, PAGE - 16);
  const receiver = new Receiver(ring.reader, new TestSink(), MAX_SIZE);
  expect(() => receiver.fill()).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_MESSAGE_SIZE' }));
});

function fillAtRandom({ memory }: Ring, frames: readonly (readonly [readonly [number, number], number])[]): void {
  memory.bytes.subarray(0, PAGE).fill(0x41);
  let at = 0;
  for (const [[first, length], size] of frames) {
    memory.words[at >> 2] = first;
    memory.words[(at >> 2) + 1] = length;
    at += 8 + ((size + 7) & ~7);
  }
}

/** Memory of messages is private, and none is longer than the limit. */
function expectWithin(sink: TestSink): void {
  for (const { type, data } of sink.received) {
    expect(data.length).toBeLessThanOrEqual(type === TYPE.region ? MAX_SIZE + MAX_PARTS_HEAD : MAX_SIZE);
  }
}
