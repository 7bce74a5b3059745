import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BroadcastMemory, loadPosition, SEALS, storePosition } from '../../src/broadcast/broadcast-memory.js';
import { ReaderCursor, WriterCursor } from '../../src/broadcast/cursor.js';
import { readTerms } from '../../src/broadcast/options.js';
import type { BroadcastReader } from '../../src/broadcast/reader.js';
import { BROADCAST, CURSOR, PAGE, RECORD, recordLength } from '../../src/layout.js';
import { Region, SHARING_SEALS } from '../../src/memory/index.js';
import { native } from '../../src/native.js';
import { store } from '../../src/words.js';
import { makeBroadcast, readAll } from '../support/broadcast.js';

const BROKEN = expect.objectContaining({ code: 'ERR_SHMLOOP_PROTOCOL' });

function numbered(n: number, length = 100): Buffer {
  const message = Buffer.alloc(length, n & 0xff);
  message.writeUInt32LE(n);
  return message;
}

describe('a broadcast region', () => {
  test('gives each reader every message, in order, and nothing before it is published', () => {
    const { writer, join } = makeBroadcast();
    const readers = [join(), join(), join()];
    writer.put(numbered(1));
    expect(readers.map((reader) => reader.next())).toEqual([undefined, undefined, undefined]);
    writer.put(Buffer.alloc(0));
    writer.put(numbered(2, 1001));
    writer.publish();
    for (const reader of readers) {
      expect(readAll(reader)).toEqual([numbered(1), Buffer.alloc(0), numbered(2, 1001)]);
      expect(reader.lost).toBe(0);
    }
  });

  test('begins with the newest message for a reader that comes late', () => {
    const { writer, join } = makeBroadcast();
    for (let n = 0; n < 100; n++) writer.put(numbered(n));
    writer.publish();
    const late = join();
    expect(readAll(late)).toEqual([numbered(99)]);
    expect(late.lost).toBe(0);
  });

  test('tells a reader that was overtaken exactly how many messages it lost', () => {
    const { writer, join } = makeBroadcast();
    const reader = join();
    const kept = Math.floor(PAGE / recordLength(100));
    for (let n = 0; n < 1000; n++) writer.put(numbered(n));
    writer.publish();
    expect(readAll(reader)).toEqual(Array.from({ length: kept }, (_, i) => numbered(1000 - kept + i)));
    expect(reader.lost).toBe(1000 - kept);
    expect(reader.wasOvertaken).toBe(true);
  });

  test('takes a message as large as itself, which overwrites all others', () => {
    const { writer, join } = makeBroadcast();
    const reader = join();
    writer.put(numbered(1));
    writer.put(numbered(2, writer.maxMessageSize));
    writer.publish();
    expect(readAll(reader)).toEqual([numbered(2, writer.maxMessageSize)]);
    expect(reader.lost).toBe(1);
  });

  test('carries messages of any size round its end', () => {
    const { writer, join } = makeBroadcast(256 * 1024);
    const reader = join();
    for (const [n, length] of [70_000, 5000, 130_001, 16_384, 100, 200_000, 16_383, 90_000, 262_128].entries()) {
      const message = Buffer.from(Array.from({ length }, (_, i) => (i * 7 + n) & 0xff));
      writer.put(message);
      writer.publish();
      expect(reader.next()?.equals(message)).toBe(true);
    }
  });

  test('goes on where positions outgrow a word, and where they outgrow a shorter one', () => {
    for (const start of [2 ** 31 - 4096, 2 ** 32 - 4096, 2 ** 34 - 4096, 2 ** 35 - 4096, 2 ** 45 - 4096]) {
      const { writer, join } = makeBroadcast(PAGE, start);
      const reader = join();
      for (let n = 0; n < 200; n++) {
        writer.put(numbered(n, 90));
        writer.publish();
        expect(reader.next()).toEqual(numbered(n, 90));
      }
      expect(reader.position).toBe(start + 200 * recordLength(90));
    }
  });

  test('notices a whole round of words that passed while a reader slept', () => {
    const { writer, memory, join } = makeBroadcast();
    writer.put(numbered(1));
    writer.publish();
    const reader = join();
    const later = 2 ** 35;
    for (const index of [BROADCAST.head, BROADCAST.tail, BROADCAST.newest])
      storePosition(memory.control, index, later, 0);
    expect(reader.next()).toBeUndefined();
    expect(reader.wasOvertaken).toBe(true);
    expect(reader.position).toBe(later);
  });

  test('never gives a reader a torn, a wrong or an uncounted message, whatever is sent and read when', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ send: fc.integer({ min: 0, max: 1200 }) }) },
      { weight: 1, arbitrary: fc.record({ send: fc.integer({ min: 3000, max: PAGE - RECORD.headerLength }) }) },
      fc.constant({ publish: true }),
      fc.record({ read: fc.integer({ min: 0, max: 2 }), count: fc.integer({ min: 1, max: 9 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { writer, join } = makeBroadcast(PAGE, 2 ** 35 - 8 * PAGE);
        const readers = [join(), join(), join()];
        const sent: Buffer[] = [];
        const read = readers.map(() => 0);
        const take = (which: number, count: number) => {
          const reader = readers[which] as BroadcastReader;
          for (let i = 0; i < count; i++) {
            const message = reader.next();
            if (message === undefined) return;
            const index = (read[which] as number) + reader.lost;
            expect(message.equals(sent[index] as Buffer)).toBe(true);
            read[which] = (read[which] as number) + 1;
          }
        };
        for (const one of steps) {
          if ('send' in one) {
            const message = Buffer.alloc(one.send, sent.length + 1);
            sent.push(message);
            writer.put(message);
          } else if ('publish' in one) writer.publish();
          else take(one.read, one.count);
        }
        writer.publish();
        for (const which of [0, 1, 2]) take(which, Number.POSITIVE_INFINITY);
        readers.forEach((reader, which) => {
          expect((read[which] as number) + reader.lost).toBe(sent.length);
        });
      }),
      { numRuns: 300 },
    );
  });

  test('has memory that readers cannot write, not even through its descriptor', () => {
    const { region, descriptor } = Region.create(PAGE, 'plain', SEALS);
    const path = `/proc/${process.pid}/fd/${descriptor.number}`;
    const run = (program: string, args: string[]) => execFileSync(program, args, { stdio: 'pipe' });
    expect(() => native().mapMemory(descriptor, PAGE)).toThrow(expect.objectContaining({ code: 'EPERM' }));
    expect(() => run('dd', ['if=/dev/zero', `of=${path}`, 'bs=1', 'count=1', 'conv=notrunc'])).toThrow(/not permitted/);
    expect(() => run('fallocate', ['-p', '-l', '4096', path])).toThrow(/not permitted/);
    new Uint8Array(region.memory)[0] = 7;
    const theirs = Region.adopt(descriptor, PAGE, 'private', SHARING_SEALS.read);
    expect(new Uint8Array(theirs.memory)[0]).toBe(7);
  });
});

describe('a reader, of a writer that writes nonsense,', () => {
  const hostile = () => {
    const { writer, memory, join } = makeBroadcast();
    const reader = join();
    writer.put(numbered(0));
    writer.put(numbered(1));
    writer.publish();
    return { writer, memory, reader };
  };

  for (const length of [-1, -(2 ** 31), 2 ** 31 - 1, PAGE, PAGE - RECORD.headerLength + 1, 250]) {
    test(`refuses a record of ${length} bytes`, () => {
      const { memory, reader } = hostile();
      memory.words[0] = length;
      expect(() => reader.next()).toThrow(BROKEN);
    });
  }

  for (const [what, low, high] of [
    ['an early', 0, 0],
    ['a later', 7, 0],
    ['a huge', 0, -1],
  ] as const) {
    test(`refuses ${what} sequence number`, () => {
      const { memory, reader } = hostile();
      expect(reader.next()).toEqual(numbered(0));
      const second = recordLength(100) / 4;
      memory.words[second + 1] = low;
      memory.words[second + 2] = high;
      expect(() => reader.next()).toThrow(BROKEN);
    });
  }

  test('refuses a head that goes back, and a tail beyond it', () => {
    const back = hostile();
    readAll(back.reader);
    storePosition(back.memory.control, BROADCAST.head, 8, 0);
    expect(() => back.reader.next()).toThrow(BROKEN);
    const beyond = hostile();
    storePosition(beyond.memory.control, BROADCAST.tail, PAGE * 9, 0);
    expect(() => beyond.reader.next()).toThrow(BROKEN);
  });

  test('refuses positions out of range, and such as never hold still', () => {
    const { memory } = makeBroadcast();
    store(memory.control, BROADCAST.head, 5);
    expect(() => loadPosition(memory.control, BROADCAST.head)).toThrow(BROKEN);
    store(memory.control, BROADCAST.head + 2, 5);
    expect(loadPosition(memory.control, BROADCAST.head)).toBe(5 * 2 ** 35);
    for (const high of [-1, 2 ** 18]) {
      store(memory.control, BROADCAST.head, high);
      store(memory.control, BROADCAST.head + 2, high);
      expect(() => loadPosition(memory.control, BROADCAST.head)).toThrow(BROKEN);
    }
  });

  test('never fails in another way, whatever stands in the region', () => {
    const word = fc.oneof(fc.integer(), fc.integer({ min: -2, max: 2 }), fc.integer({ min: 0, max: 4 * PAGE }));
    const change = fc.record({ isControl: fc.boolean(), index: fc.nat(), value: word });
    fc.assert(
      fc.property(fc.array(fc.array(change, { maxLength: 6 }), { maxLength: 12 }), (rounds) => {
        const { memory, reader } = hostile();
        for (const round of rounds) {
          for (const { isControl, index, value } of round) {
            if (isControl) store(memory.control, index % 12, value);
            else memory.words[index % 64] = value;
          }
          try {
            for (let i = 0; i < 20; i++) reader.next();
          } catch (error) {
            expect(error).toEqual(BROKEN);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('refuses terms that are none', () => {
    expect(readTerms('block 4096 8 1')).toEqual({ policy: 'block', capacity: 4096, start: 8, sequence: 1 });
    const nonsense = [
      '',
      'block',
      'wait 4096 0 0',
      'block 4095 0 0',
      'block 4096 4 0',
      'block 4096 0 9007199254740993',
    ];
    for (const text of [...nonsense, 'block 4096 0 -1', 'block 4096 0 0 ', `block ${2 ** 27} 0 0`]) {
      expect(() => readTerms(text), text).toThrow(BROKEN);
    }
  });
});

describe('a cursor', () => {
  test('tells the writer how far the reader is, also where it outgrows a word', () => {
    const words = new Int32Array(PAGE / 4);
    const start = 64;
    const reader = new ReaderCursor(words, start);
    const writer = new WriterCursor(words, start);
    for (let position = start; position < start + 2 ** 36; position += 2 ** 31) {
      reader.release(position);
      expect(writer.observe(position)).toBe(position);
    }
  });

  test('wakes the writer once, and only when the reader is where the writer wants it', () => {
    const words = new Int32Array(PAGE / 4);
    const reader = new ReaderCursor(words, 0);
    const writer = new WriterCursor(words, 0);
    expect(reader.release(8)).toBe(false);
    writer.park(64);
    expect([16, 56, 64, 72].map((position) => reader.release(position))).toEqual([false, false, true, false]);
  });

  test('of a reader that goes back, or ahead of the writer, is refused', () => {
    for (const units of [1, -1, 2 ** 31 - 1, -(2 ** 31)]) {
      const words = new Int32Array(PAGE / 4);
      const writer = new WriterCursor(words, 0);
      store(words, CURSOR.consumed, 4);
      expect(writer.observe(32)).toBe(32);
      store(words, CURSOR.consumed, 4 + units);
      expect(() => writer.observe(32)).toThrow(BROKEN);
    }
  });
});

test('the memory of a broadcast region begins with its control page', () => {
  const { region } = Region.create(PAGE + BROADCAST.controlLength, 'plain', SEALS);
  expect(new BroadcastMemory(region).capacity).toBe(PAGE);
});
