import { mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PAGE } from '../../src/layout.js';
import { type Descriptor, native } from '../../src/native.js';

const addon = native();
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'shmloop-test-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function systemError(code: keyof typeof constants.errno, syscall: string): unknown {
  return expect.objectContaining({ code, syscall, errno: -constants.errno[code] });
}

/** Both ends of a connection. */
function pair(): [Descriptor, Descriptor] {
  const path = join(directory, 'pair');
  const listener = addon.listenUnix(path, 1);
  const one = addon.connectUnix(path);
  const other = addon.acceptUnix(listener) as Descriptor;
  listener.close();
  for (const socket of [one, other]) addon.allowDescriptors(socket);
  return [one, other];
}

describe('errors of system calls have Node’s own shape', () => {
  test.each<[string, () => unknown, keyof typeof constants.errno, string]>([
    ['opening what is not there', () => addon.openNamedMemory('/shmloop-test-nothing'), 'ENOENT', 'shm_open'],
    ['unlinking what is not there', () => addon.unlinkNamedMemory('/shmloop-test-nothing'), 'ENOENT', 'shm_unlink'],
    ['connecting to nothing', () => addon.connectUnix(join(directory, 'nothing')), 'ENOENT', 'connect'],
    ['listening nowhere', () => addon.listenUnix(join(directory, 'no', 'where'), 1), 'ENOENT', 'bind'],
    ['a path too long', () => addon.connectUnix(join(directory, 'x'.repeat(108))), 'ENAMETOOLONG', 'socket'],
    ['locking nothing', () => addon.lockDirectory(join(directory, 'nothing')), 'ENOENT', 'open'],
    ['memory of no size', () => addon.mapMemory(addon.createMemory('test', PAGE), 0), 'EINVAL', 'mmap'],
  ])('%s', (_what, action, code, syscall) => {
    expect(action).toThrow(systemError(code, syscall));
  });

  test('connecting to a listener that is gone is refused', () => {
    const path = join(directory, 'listener');
    addon.listenUnix(path, 1).close();
    expect(() => addon.connectUnix(path)).toThrow(systemError('ECONNREFUSED', 'connect'));
    expect(() => addon.listenUnix(path, 1)).toThrow(systemError('EADDRINUSE', 'bind'));
  });

  test('a full backlog is EAGAIN at once', () => {
    const path = join(directory, 'listener');
    const listener = addon.listenUnix(path, 1);
    const clients: Descriptor[] = [];
    expect(() => {
      for (let i = 0; i < 10; i++) clients.push(addon.connectUnix(path));
    }).toThrow(systemError('EAGAIN', 'connect'));
    for (const descriptor of [listener, ...clients]) descriptor.close();
  });

  test('a closed descriptor is refused', () => {
    const [other, descriptor] = addon.createDoorbell();
    other.close();
    descriptor.close();
    descriptor.close();
    expect(descriptor.number).toBe(-1);
    expect(() => addon.ringDoorbell(descriptor)).toThrow();
    expect(() => addon.inspectMemory(descriptor)).toThrow();
  });
});

describe('the control socket', () => {
  test('carries messages with their boundaries, and descriptors with them', () => {
    const [one, other] = pair();
    const memory = addon.createMemory('passed', PAGE);
    expect(addon.sendMessage(one, Buffer.from('first'), [memory])).toBe(true);
    expect(addon.sendMessage(one, Buffer.from('second'), [])).toBe(true);
    const buffer = Buffer.alloc(100);
    const [length, ...descriptors] = addon.receiveMessage(other, buffer) ?? [];
    expect(buffer.toString('latin1', 0, length)).toBe('first');
    expect(readlinkSync(`/proc/self/fd/${descriptors[0]?.number}`)).toContain('memfd:passed');
    expect(addon.receiveMessage(other, buffer)).toEqual([6]);
    expect(addon.receiveMessage(other, buffer)).toBeNull();
    one.close();
    expect(addon.receiveMessage(other, buffer)).toEqual([0]);
    other.close();
    descriptors[0]?.close();
    memory.close();
  });

  test('every descriptor that is received is closed on exec', () => {
    const [one, other] = pair();
    const doorbell = addon.createDoorbell();
    addon.sendMessage(one, Buffer.from('x'), doorbell);
    const [, ...descriptors] = addon.receiveMessage(other, Buffer.alloc(10)) ?? [];
    for (const { number } of [one, other, ...doorbell, ...descriptors]) expect(flagsOf(number) & 0o2000000).not.toBe(0);
    for (const descriptor of [one, other, ...doorbell, ...descriptors]) descriptor.close();
  });

  test('refuses a message larger than the buffer, and goes on', () => {
    const [one, other] = pair();
    addon.sendMessage(one, Buffer.alloc(200), []);
    addon.sendMessage(one, Buffer.from('next'), []);
    const buffer = Buffer.alloc(100);
    expect(() => addon.receiveMessage(other, buffer)).toThrow(systemError('EMSGSIZE', 'recvmsg'));
    expect(addon.receiveMessage(other, buffer)).toEqual([4]);
    one.close();
    other.close();
  });

  test('says when its buffer is full', () => {
    const [one, other] = pair();
    let sent = 0;
    while (addon.sendMessage(one, Buffer.alloc(96), [])) sent++;
    expect(sent).toBeGreaterThan(0);
    other.close();
    // The first says that unread messages were lost.
    expect(() => addon.sendMessage(one, Buffer.alloc(96), [])).toThrow(systemError('ECONNRESET', 'sendmsg'));
    expect(() => addon.sendMessage(one, Buffer.alloc(96), [])).toThrow(systemError('EPIPE', 'sendmsg'));
    one.close();
  });

  test('knows its peer', () => {
    const [one, other] = pair();
    const self = [process.pid, process.getuid?.(), process.getgid?.()];
    expect(addon.peerCredentials(one)).toEqual(self);
    expect(addon.peerCredentials(other)).toEqual(self);
    // Node adds the effective group to its list.
    expect(new Set([...addon.peerGroups(one), process.getegid?.()])).toEqual(new Set(process.getgroups?.()));
    one.close();
    other.close();
  });
});

describe('blocks', () => {
  test('hold what was asked for, and no more than 4 MiB', () => {
    for (const length of [1, 2 ** 15, 2 ** 15 + 1, 2 ** 22]) {
      expect(addon.allocateBlock(length)?.byteLength).toBeGreaterThanOrEqual(length);
    }
    expect(addon.allocateBlock(2 ** 22 + 1)).toBeNull();
  });

  test('are two while both are in use', () => {
    const [one, other] = [addon.allocateBlock(100_000), addon.allocateBlock(100_000)].map((block) => {
      return new Uint8Array(block as ArrayBuffer);
    });
    one?.fill(1);
    other?.fill(2);
    expect(one?.every((byte) => byte === 1)).toBe(true);
  });
});

describe('doorbells', () => {
  test('ring until they are cleared', () => {
    const [listening, ringing] = addon.createDoorbell();
    expect(addon.clearDoorbell(listening)).toBe(false);
    expect(addon.ringDoorbell(ringing)).toBe(true);
    expect(addon.ringDoorbell(ringing)).toBe(true);
    expect(addon.clearDoorbell(listening)).toBe(true);
    expect(addon.clearDoorbell(listening)).toBe(false);
    listening.close();
    expect(addon.ringDoorbell(ringing)).toBe(false);
    ringing.close();
  });

  test('that nobody can ring any more say so', () => {
    const [listening, ringing] = addon.createDoorbell();
    ringing.close();
    expect(addon.clearDoorbell(listening)).toBeNull();
    listening.close();
  });

  test('that are full ring already: nobody waits for room', () => {
    const [listening, ringing] = addon.createDoorbell();
    for (let i = 0; i < 100_000; i++) if (!addon.ringDoorbell(ringing)) break;
    expect(addon.ringDoorbell(ringing)).toBe(false);
    expect(addon.clearDoorbell(listening)).toBe(true);
    listening.close();
    ringing.close();
  });

  test('wake the event loop until their poll is closed', async () => {
    const [listening, ringing] = addon.createDoorbell();
    let poll = new addon.Poll(listening, () => undefined);
    await new Promise<void>((resolve) => {
      poll.close();
      poll = new addon.Poll(listening, resolve);
      poll.start();
      addon.ringDoorbell(ringing);
    });
    poll.close();
    poll.close();
    poll.start();
    listening.close();
    ringing.close();
  });
});

describe('futexes', () => {
  test('return at once when the word is another, and later when the time is up', () => {
    const memory = addon.mapMemory(addon.createMemory('test', PAGE), PAGE);
    expect(addon.futexWait(memory, 0, 1, 1000)).toBe(true);
    expect(addon.futexWait(memory, 0, 0, 1)).toBe(false);
    addon.futexWake(memory, 0);
  });

  test('refuse a word that is not within the memory', () => {
    const memory = addon.mapMemory(addon.createMemory('test', PAGE), PAGE);
    for (const offset of [1, 2, PAGE, PAGE - 3]) expect(() => addon.futexWait(memory, offset, 0, 1)).toThrow(TypeError);
  });
});

test('copy copies, and refuses what is outside', () => {
  const source = Buffer.from(Array.from({ length: 1000 }, (_, i) => i & 255));
  for (const [from, to, length] of [
    [0, 0, 1000],
    [1, 3, 129],
    [500, 0, 500],
    [7, 7, 0],
    [3, 100, 31],
  ] as const) {
    const target = Buffer.alloc(1000, 0xee);
    addon.copy(target, to, source, from, length);
    const expected = Buffer.alloc(1000, 0xee);
    source.copy(expected, to, from, from + length);
    expect(target.equals(expected)).toBe(true);
  }
  const target = Buffer.alloc(10);
  for (const [to, from, length] of [
    [0, 0, 11],
    [5, 0, 6],
    [0, 995, 6],
    [11, 0, 0],
    [-1, 0, 1],
    [0, -1, 1],
    [0, 0, -1],
  ] as const) {
    expect(() => addon.copy(target, to, source, from, length)).toThrow(TypeError);
  }
});

test('a directory is locked by one at a time, and not through a symbolic link', () => {
  const lock = addon.lockDirectory(directory);
  expect(addon.lockDirectory(directory)).toBeNull();
  lock?.close();
  const again = addon.lockDirectory(directory);
  expect(again).not.toBeNull();
  again?.close();
  symlinkSync(directory, join(directory, 'link'));
  expect(() => addon.lockDirectory(join(directory, 'link'))).toThrow(systemError('ENOTDIR', 'open'));
});

test('memory that is not a mapping of ours is neither retired nor populated', () => {
  expect(() => addon.retireMapping(new ArrayBuffer(PAGE))).toThrow(TypeError);
  expect(() => addon.unmapMemory(new ArrayBuffer(PAGE))).toThrow(TypeError);
  expect(() => addon.populateMapping(new ArrayBuffer(PAGE), 0, PAGE)).toThrow(TypeError);
  const memory = addon.mapMemory(addon.createMemory('test', PAGE), PAGE);
  expect(() => addon.populateMapping(memory, 0, PAGE + 1)).toThrow(TypeError);
  expect(() => addon.populateMapping(memory, PAGE + 1, 0)).toThrow(TypeError);
});

test('the addon loads in any number of threads', async () => {
  const source = `
    const { createMemory, mapMemory } = require('node-gyp-build')(${JSON.stringify(process.cwd())});
    new Uint8Array(mapMemory(createMemory('test', 4096), 4096)).fill(1);
  `;
  const exits = Array.from({ length: 8 }, () => {
    const worker = new Worker(source, { eval: true });
    return new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject));
  });
  expect(await Promise.all(exits)).toEqual(Array(8).fill(0));
});

function flagsOf(number: number): number {
  const info = readFileSync(`/proc/self/fdinfo/${number}`, 'latin1');
  return Number.parseInt(/^flags:\s+(\d+)$/m.exec(info)?.[1] ?? '0', 8);
}
