import { describe, expect, test, vi } from 'vitest';
import { frameLength, PAGE, RING } from '../../src/layout.js';
import { OFFSET_LENGTH } from '../../src/net/frames.js';
import type { StreamRequest } from '../../src/net/internals.js';
import { Outgoing } from '../../src/net/outgoing.js';
import { store } from '../../src/words.js';
import { makeRing, pattern } from '../support/ring.js';

/** Bytes of the frames that come before the first data: `go`, `fromTcp`. */
const BEFORE = frameLength(0) + frameLength(OFFSET_LENGTH);
const request = {} as StreamRequest;

/** A direction that goes through a ring, and what it asks of its owner. */
function direct(capacity = PAGE) {
  const ring = makeRing(capacity);
  const overTcp: { bytes: Buffer; request: StreamRequest | undefined }[] = [];
  const owner = {
    written: () => 0,
    isTcpClosed: () => false,
    queued: () => 0,
    writeTcp: (parts: readonly Uint8Array[], request: StreamRequest | undefined) => {
      overTcp.push({ bytes: Buffer.concat(parts), request });
      return owner.isTakenAtOnce;
    },
    isTakenAtOnce: false,
    completed: vi.fn(),
    waitingChanged: () => undefined,
    pollSoon: vi.fn(),
    ranOutOfPatience: vi.fn(),
  };
  const outgoing = new Outgoing(owner, ring.writer, capacity);
  outgoing.confirm();
  outgoing.allow();
  expect(outgoing.enter()).toBe(true);
  return { ring, outgoing, owner, overTcp };
}

describe('when the reader has left the ring', () => {
  const [first, second] = [pattern(100, 1), pattern(3 * PAGE, 2)];

  /** With the first bytes unread but for so many. */
  function leaveUnread(partRead: number) {
    const direction = direct();
    direction.outgoing.write(request, [first], first.length);
    direction.ring.reader.observe();
    direction.ring.reader.take(BEFORE);
    expect(direction.ring.reader.leave(partRead)).toBe(true);
    return direction;
  }

  test('TCP gets what nobody read, and then what is written, in order', () => {
    const { outgoing, overTcp } = leaveUnread(0);
    expect(outgoing.write(request, [second], second.length)).toBe(false);
    expect(Buffer.concat(overTcp.map(({ bytes }) => bytes))).toEqual(Buffer.concat([first, second]));
    expect(overTcp.map(({ request }) => request)).toEqual([undefined, request]);
    expect(outgoing.enter()).toBe(false);
    expect(outgoing.ringBytes).toBe(0);
  });

  test('in the middle of a frame, TCP gets the rest of that', () => {
    const { outgoing, overTcp } = leaveUnread(40);
    outgoing.abandonIfLeft();
    expect(overTcp).toEqual([{ bytes: first.subarray(40), request: undefined }]);
  });

  test('and a write waits, that completes over TCP, once', () => {
    const { ring, outgoing, owner, overTcp } = direct();
    expect(outgoing.write(request, [second], second.length)).toBe(false);
    ring.reader.observe();
    expect(ring.reader.leave(0)).toBe(true);
    outgoing.overflow();
    expect(Buffer.concat(overTcp.map(({ bytes }) => bytes))).toEqual(second);
    expect(overTcp.at(-1)?.request).toBe(request);
    expect(owner.completed).not.toHaveBeenCalled();
  });

  test('and TCP has bytes already that come after, that is an error', () => {
    const { ring, outgoing, overTcp } = direct();
    outgoing.write(request, [second], second.length);
    outgoing.overflow();
    expect(overTcp).toHaveLength(1);
    ring.reader.observe();
    expect(ring.reader.leave(0)).toBe(true);
    expect(() => outgoing.abandonIfLeft()).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_PROTOCOL' }));
    expect(overTcp).toHaveLength(1);
  });
});

test('when the reader has left, and TCP has told of the end, what nobody read is an error, not lost', () => {
  const { ring, outgoing, overTcp } = direct();
  outgoing.write(request, [pattern(100, 1)], 100);
  outgoing.end();
  ring.reader.observe();
  expect(ring.reader.leave(0)).toBe(true);
  expect(() => outgoing.abandonIfLeft()).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_PROTOCOL' }));
  expect(overTcp).toEqual([]);
});

describe('a write is cut', () => {
  const KIB = 1024;
  const whole = pattern(200 * KIB, 1);

  /** Of two frames or more; a small write was read before. */
  function written() {
    const direction = direct(1024 * KIB);
    const { ring, outgoing } = direction;
    const read = (bytes: number) => {
      ring.reader.observe();
      ring.reader.take(bytes);
      ring.reader.release();
    };
    outgoing.write(request, [pattern(100, 2)], 100);
    read(BEFORE + frameLength(100));
    outgoing.write(request, [whole], whole.length);
    return { ...direction, read };
  }

  test('if its reader has taken some of its frames, and not all', () => {
    const { outgoing, read } = written();
    read(frameLength(64 * KIB));
    expect(outgoing.isCut).toBe(true);
    outgoing.abandon();
    expect(outgoing.isCut).toBe(true);
  });

  test('but not if it has taken none of it, or all', () => {
    const { ring, outgoing, read } = written();
    expect(outgoing.isCut).toBe(false);
    read(ring.reader.observe());
    expect(outgoing.isCut).toBe(false);
    outgoing.abandon();
    expect(outgoing.isCut).toBe(false);
  });
});

test('a write of very many parts goes on when there is room', () => {
  const { ring, outgoing } = direct();
  const parts = Array<Uint8Array>(200_000).fill(Buffer.from('x'));
  expect(outgoing.write(request, parts, parts.length)).toBe(false);
  const before = outgoing.waitingBytes;
  ring.reader.take(ring.reader.observe());
  ring.reader.release();
  expect(outgoing.advance()).toBe(true);
  expect(outgoing.waitingBytes).toBeLessThan(before);
  expect(outgoing.close()).toBe(request);
});

test('a ring that stays full, and was broken, throws where its owner can hear of it, not from a timer', async () => {
  const { ring, outgoing, owner } = direct();
  const over = new Promise((resolve) => owner.ranOutOfPatience.mockImplementation(() => resolve(undefined)));
  outgoing.write(request, [pattern(3 * PAGE, 1)], 3 * PAGE);
  store(ring.memory.control, RING.controlWord, -1);
  await over;
  expect(() => outgoing.overflow()).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_PROTOCOL' }));
  expect(outgoing.close()).toBe(request);
});

describe('as long as nothing lies in the ring', () => {
  const KIB = 1024;

  /** A direction whose reader reads all of it in `readAll`. */
  function read(ringSize = 1024 * KIB) {
    const direction = direct(ringSize);
    const { writer, reader } = direction.ring;
    const readAll = () => {
      reader.take(reader.observe());
      reader.release();
    };
    /** @returns where in the ring it ends */
    const write = (size: number, seed = 1) => {
      expect(direction.outgoing.write(request, [pattern(size, seed)], size)).toBe(true);
      return writer.offset;
    };
    /** Writes 70 KiB that the reader reads at once, and lets a turn pass. */
    const fillShallow = () => {
      for (let i = 0; i < 7; i++) {
        write(10 * KIB);
        readAll();
      }
      direction.outgoing.advance();
    };
    return { ...direction, readAll, write, fillShallow };
  }

  /** Writes and reads so many messages one by one, each in a turn. @returns where in the ring they were written */
  function talk(size: number, count: number) {
    const { outgoing, overTcp, write, readAll } = read();
    const offsets: number[] = [];
    for (let i = 0; i < count; i++) {
      outgoing.advance();
      offsets.push(write(size, i));
      readAll();
    }
    expect(overTcp).toEqual([]);
    return offsets;
  }

  test('its first 64 KiB are used, and a message more', () => {
    expect(Math.max(...talk(100, 5000))).toBeLessThan(64 * KIB);
    expect(Math.max(...talk(100 * KIB, 50))).toBeLessThan(310 * KIB);
  });

  test('a write of nothing leaves nothing there', () => {
    const { ring, outgoing, write, fillShallow } = read();
    fillShallow();
    write(0);
    expect(ring.reader.observe()).toBe(0);
    expect(outgoing.isUnread).toBe(false);
  });

  test('a burst does not go back to its beginning, and asks for a turn in which the next one may', () => {
    const { outgoing, owner, write, readAll } = read();
    for (let i = 1; i < 12; i++) {
      expect(write(10 * KIB)).toBeGreaterThan(i * 10 * KIB);
      readAll();
    }
    expect(owner.pollSoon).toHaveBeenCalled();
    outgoing.advance();
    expect(write(10 * KIB)).toBeLessThan(11 * KIB);
  });

  test('twice as much of it is used as the reader was ever behind', () => {
    const { outgoing, overTcp, write, readAll } = read();
    for (let i = 0; i < 5; i++) write(40 * KIB);
    readAll();
    for (let turn = 0; turn < 10; turn++) {
      outgoing.advance();
      for (let i = 0; i < 5; i++) expect(write(40 * KIB)).toBeLessThan(620 * KIB);
      readAll();
    }
    expect(overTcp).toEqual([]);
  });

  test('TCP takes at once what finds no room since the writer went back there, and the rest of the ring is next', () => {
    const { outgoing, owner, overTcp, write, readAll, fillShallow } = read();
    owner.isTakenAtOnce = true;
    const burst = pattern(40 * KIB, 2);
    fillShallow();
    expect(write(burst.length, 2)).toBeLessThan(50 * KIB);
    write(burst.length, 2);
    const placed = outgoing.ringBytes - 70 * KIB - burst.length;
    expect(overTcp).toEqual([{ bytes: burst.subarray(placed), request }]);
    expect(outgoing.isViaRing).toBe(false);
    readAll();
    expect(outgoing.enter()).toBe(true);
    for (let i = 0; i < 10; i++) write(burst.length, 2);
    expect(overTcp).toHaveLength(1);
    expect(owner.completed).not.toHaveBeenCalled();
  });

  test('what found no room once has it from then on', () => {
    const { outgoing, owner, overTcp, write, readAll, fillShallow } = read();
    owner.isTakenAtOnce = true;
    fillShallow();
    write(100);
    write(400 * KIB);
    expect(overTcp).toHaveLength(1);
    readAll();
    expect(outgoing.enter()).toBe(true);
    // As far as it would go with room for what the first one found.
    for (let i = 0; i < 7; i++) {
      outgoing.advance();
      write(10 * KIB);
      readAll();
    }
    outgoing.advance();
    write(100);
    write(400 * KIB);
    expect(overTcp).toHaveLength(1);
  });

  test('a message that only fits what is left of it is written there', () => {
    const { write, fillShallow } = read();
    fillShallow();
    expect(write(900 * KIB)).toBeGreaterThan(970 * KIB);
  });
});
