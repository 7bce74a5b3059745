import { describe, expect, test } from 'vitest';
import { CONTROL, EVENTS, FRAME, frameLength, PAGE, RING } from '../../src/layout.js';
import { parkReader, parkWriter, wakeReader, wakeWriter } from '../../src/ring/control-word.js';
import { isCapacity, ringFileLength } from '../../src/ring/index.js';
import { load, store } from '../../src/words.js';
import { makeRing, pattern, type Ring } from '../support/ring.js';

function word({ memory }: Ring): number {
  return load(memory.control, RING.controlWord);
}

function fill({ writer }: Ring, length: number): void {
  expect(writer.hasRoom(frameLength(length))).toBe(true);
  writer.fillHeader(1, length);
  writer.fill(FRAME.headerLength, pattern(length, length), 0, length);
  writer.advance(frameLength(length));
}

describe('the layout', () => {
  test('has flags that leave room for the largest ring, and never touch the sign', () => {
    const flags = [CONTROL.writerOnFutex, CONTROL.readerOnFutex, CONTROL.writerParked, CONTROL.readerParked];
    expect(RING.maxCapacity).toBeLessThanOrEqual(CONTROL.available);
    expect(flags.reduce((all, flag) => all & flag, CONTROL.available)).toBe(0);
    expect(new Set([...flags, CONTROL.available]).size).toBe(5);
    expect(flags.reduce((all, flag) => all | flag, CONTROL.available)).toBe(0x7fffffff);
  });

  test('keeps words that different sides write on different cache lines', () => {
    const words = [EVENTS.asleep, EVENTS.selector, EVENTS.pending];
    expect(words.map((index) => (index * 4) / 64)).toEqual([0, 1, 2]);
    expect(RING.controlLength).toBe(PAGE);
  });

  test('pads frames to their alignment', () => {
    expect([0, 1, 7, 8, 9, 1016].map(frameLength)).toEqual([8, 16, 16, 16, 24, 1024]);
  });

  test('has rings of powers of two from 4 KiB to 64 MiB', () => {
    const good = Array.from({ length: 15 }, (_, i) => PAGE << i);
    expect(good.every(isCapacity)).toBe(true);
    expect([0, 1, 2048, 4095, 4097, 6144, 1 << 27, -4096, Number.NaN].some(isCapacity)).toBe(false);
    expect(ringFileLength(PAGE)).toBe(2 * PAGE);
  });
});

describe('publishing', () => {
  test('shows nothing before, and all that was filled at once', () => {
    const ring = makeRing();
    fill(ring, 10);
    fill(ring, 20);
    expect(ring.reader.observe()).toBe(0);
    ring.writer.publish();
    expect(ring.reader.observe()).toBe(frameLength(10) + frameLength(20));
  });

  test('wakes a parked reader once, and leaves one that is awake alone', () => {
    const ring = makeRing();
    fill(ring, 1);
    ring.writer.publish();
    expect(ring.notified.reader).toBe(0);
    expect(ring.reader.park('event')).toBe(false);
    ring.reader.take(ring.reader.unread);
    expect(ring.reader.park('event')).toBe(true);
    for (let i = 0; i < 3; i++) {
      fill(ring, 1);
      ring.writer.publish();
    }
    expect(ring.notified.reader).toBe(1);
    expect(word(ring) & CONTROL.readerParked).toBe(0);
  });

  test('nothing is not an event', () => {
    const ring = makeRing();
    expect(ring.reader.park('event')).toBe(true);
    ring.writer.publish();
    expect(ring.notified.reader).toBe(0);
  });
});

describe('releasing', () => {
  test('wakes a parked writer when a quarter of the ring is free, not before, and once', () => {
    const ring = makeRing();
    for (let i = 0; i < 32; i++) fill(ring, 120);
    expect(ring.writer.park(8, 'event')).toBe(true);
    ring.reader.observe();
    for (let i = 0; i < 7; i++) {
      ring.reader.take(128);
      ring.reader.release();
    }
    expect(ring.notified.writer).toBe(0);
    for (let i = 0; i < 5; i++) {
      ring.reader.take(128);
      ring.reader.release();
    }
    expect(ring.notified.writer).toBe(1);
    expect(ring.writer.hasRoom(8 * 128)).toBe(true);
  });

  test('is one step for as much as was taken', () => {
    const ring = makeRing();
    for (let i = 0; i < 8; i++) fill(ring, 120);
    ring.writer.publish();
    ring.reader.observe();
    for (let i = 0; i < 8; i++) ring.reader.take(128);
    expect(word(ring)).toBe(PAGE - 1024);
    expect(ring.reader.taken).toBe(1024);
    ring.reader.release();
    expect(word(ring)).toBe(PAGE);
  });
});

describe('parking on the futex', () => {
  test('ends when the time is up, and leaves no mark of its own nor takes one of the other', () => {
    const ring = makeRing();
    expect(ring.reader.park('futex')).toBe(true);
    expect(ring.reader.wait(1)).toBe(false);
    for (let i = 0; i < 32; i++) fill(ring, 120);
    ring.writer.publish();
    expect(ring.notified.reader).toBe(0);
    expect(ring.writer.park(8, 'futex')).toBe(true);
    expect(ring.writer.wait(1)).toBe(false);
    ring.reader.unpark();
    expect(word(ring)).toBe(CONTROL.writerParked | CONTROL.writerOnFutex);
    ring.writer.unpark();
    expect(word(ring)).toBe(0);
  });

  test('returns at once when it was woken before it could wait', () => {
    const ring = makeRing();
    expect(ring.reader.park('futex')).toBe(true);
    fill(ring, 1);
    ring.writer.publish();
    expect(ring.reader.wait(60_000)).toBe(true);
    expect(ring.notified.reader).toBe(0);
  });

  test('takes over from parking on the event loop: the kernel is told, and not the domain', () => {
    const ring = makeRing();
    expect(ring.reader.park('event')).toBe(true);
    expect(ring.reader.park('futex')).toBe(true);
    fill(ring, 1);
    ring.writer.publish();
    expect(ring.notified.reader).toBe(0);
    expect(word(ring) & (CONTROL.readerParked | CONTROL.readerOnFutex)).toBe(0);
  });
});

describe('the mark of who parks', () => {
  test.each([
    ['reader', parkReader],
    ['writer', parkWriter],
  ])('is set only while the word is what the %s saw', (_who, park) => {
    const { control } = makeRing().memory;
    for (const sleep of ['event', 'futex'] as const) {
      store(control, RING.controlWord, 100);
      expect(park(control, 108, sleep)).toBe(false);
      expect(load(control, RING.controlWord)).toBe(100);
      expect(park(control, 100, sleep)).toBe(true);
    }
  });

  test('is cleared by who wakes, with nothing else', () => {
    const { control } = makeRing().memory;
    const all = CONTROL.readerParked | CONTROL.writerParked | 64;
    store(control, RING.controlWord, all);
    let woken = 0;
    wakeReader(control, () => woken++);
    wakeReader(control, () => woken++);
    expect(load(control, RING.controlWord)).toBe(CONTROL.writerParked | 64);
    wakeWriter(control, () => woken++);
    wakeWriter(control, () => woken++);
    expect(load(control, RING.controlWord)).toBe(64);
    expect(woken).toBe(2);
  });
});

test.each([4096, 65_536, 1 << 20, 1 << 26])('a ring of %d bytes carries frames round its end', (capacity) => {
  const ring = makeRing(capacity);
  const length = ring.writer.maxFrame - FRAME.headerLength;
  const sent = pattern(length, 1);
  for (let i = 0; i < 6; i++) {
    fill(ring, 8);
    expect(ring.writer.hasRoom(ring.writer.maxFrame)).toBe(true);
    ring.writer.fillHeader(1, length);
    ring.writer.fill(FRAME.headerLength, sent, 0, length);
    ring.writer.advance(ring.writer.maxFrame);
    ring.writer.publish();
    ring.reader.observe();
    ring.reader.take(16);
    const received = Buffer.alloc(length);
    ring.reader.copyOut(FRAME.headerLength, length, received, 0);
    expect(received.equals(sent)).toBe(true);
    ring.reader.take(ring.reader.maxFrame);
    ring.reader.release();
  }
  ring.memory.region.retire();
});

describe('a reader that leaves', () => {
  test('tells the writer, as of its next look, what nobody read', () => {
    const ring = makeRing();
    fill(ring, 100);
    fill(ring, 200);
    ring.writer.publish();
    ring.reader.observe();
    ring.reader.take(frameLength(100));
    expect(ring.reader.leave(7)).toBe(true);
    expect(ring.reader.observe()).toBe(frameLength(200));
    expect(ring.writer.hasReaderLeft).toBe(false);
    expect(ring.writer.observe()).toBe(PAGE - frameLength(200));
    expect(ring.writer.hasReaderLeft).toBe(true);
    expect(ring.writer.partRead).toBe(7);
    const [length] = new Int32Array(Uint8Array.from(ring.writer.recall(frameLength(200)).subarray(4, 8)).buffer);
    expect(length).toBe(200);
  });

  test('does so only where it knows of all that was published', () => {
    const ring = makeRing();
    fill(ring, 100);
    ring.writer.publish();
    expect(ring.reader.leave(0)).toBe(false);
    expect(ring.reader.unread).toBe(frameLength(100));
    expect(ring.reader.leave(0)).toBe(true);
  });

  test('is seen by whoever publishes after that, and is not woken', () => {
    const ring = makeRing();
    expect(ring.reader.park('event')).toBe(true);
    expect(ring.reader.leave(0)).toBe(true);
    fill(ring, 100);
    ring.writer.publish();
    expect(ring.writer.hasReaderLeft).toBe(true);
    expect(ring.notified.reader).toBe(0);
  });

  test('does not lose its mark to a writer that is about to wake it', () => {
    const ring = makeRing();
    expect(ring.reader.park('event')).toBe(true);
    expect(ring.reader.leave(0)).toBe(true);
    wakeReader(ring.memory.control, () => undefined);
    ring.writer.observe();
    expect(ring.writer.hasReaderLeft).toBe(true);
  });

  test('is not what a reader on its event loop, or on the futex, looks like', () => {
    for (const sleep of ['event', 'futex'] as const) {
      const ring = makeRing();
      expect(ring.reader.park(sleep)).toBe(true);
      ring.writer.observe();
      expect(ring.writer.hasReaderLeft).toBe(false);
    }
  });
});
