import { constants } from 'node:buffer';
import { chownSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { NamedRegion } from '../../src/index.js';
import { native } from '../../src/native.js';

const isRoot = process.geteuid?.() === 0;
const names: string[] = [];
let count = 0;
/** More than a Buffer holds on Node 20; from 22 on, only more than there are addresses. */
const HUGE = 2 ** 50;

afterEach(() => {
  for (const name of names.splice(0)) {
    if (existsSync(`/dev/shm/${name}`)) native().unlinkNamedMemory(`/${name}`);
  }
});

function newName(): string {
  const name = `shmloop-test-${process.pid}-${++count}`;
  names.push(name);
  return name;
}

test('a named region is a file in /dev/shm, for its owner alone, with the same bytes', () => {
  const name = newName();
  const region = NamedRegion.create(name, 10_000);
  expect(region.name).toBe(name);
  expect(region.memory.byteLength).toBe(10_000);
  const { mode, size, blocks } = statSync(`/dev/shm/${name}`);
  expect([mode & 0o777, size]).toEqual([0o600, 10_000]);
  expect(blocks * 512).toBeGreaterThanOrEqual(10_000);
  Buffer.from(region.memory).write('bytes', 9000);
  expect(readFileSync(`/dev/shm/${name}`).toString('latin1', 9000, 9005)).toBe('bytes');
  region.close();
});

test('it is opened again by name, with its length', () => {
  const name = newName();
  const one = NamedRegion.create(name, 5000);
  const other = NamedRegion.open(name);
  expect(other.memory.byteLength).toBe(5000);
  Buffer.from(other.memory)[4999] = 77;
  expect(Buffer.from(one.memory)[4999]).toBe(77);
  one.close();
  other.close();
});

test('its name is removed while mappings stay', () => {
  const name = newName();
  const region = NamedRegion.create(name, 100);
  region.unlink();
  expect(existsSync(`/dev/shm/${name}`)).toBe(false);
  Buffer.from(region.memory).fill(1);
  expect(() => region.unlink()).toThrow(expect.objectContaining({ code: 'ENOENT', syscall: 'shm_unlink' }));
  region.close();
});

test('closed, its views are valid still, private and zero', () => {
  const name = newName();
  const region = NamedRegion.create(name, 100);
  const view = Buffer.from(region.memory);
  view.fill(1);
  region.close();
  expect([...view]).toEqual(Array(100).fill(0));
  view.fill(2);
  expect([...readFileSync(`/dev/shm/${name}`)]).toEqual(Array(100).fill(1));
  region.close();
});

test('there is one of a name', () => {
  const name = newName();
  NamedRegion.create(name, 100).close();
  expect(() => NamedRegion.create(name, 100)).toThrow(expect.objectContaining({ code: 'EEXIST', syscall: 'shm_open' }));
});

test('one that is not there cannot be opened', () => {
  expect(() => NamedRegion.open(newName())).toThrow(expect.objectContaining({ code: 'ENOENT', syscall: 'shm_open' }));
});

test('a file that is empty, or larger than an ArrayBuffer can be, is not mapped', () => {
  const name = newName();
  writeFileSync(`/dev/shm/${name}`, '');
  expect(() => NamedRegion.open(name)).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_REGION' }));
  truncateSync(`/dev/shm/${name}`, HUGE);
  expect(() => NamedRegion.open(name)).toThrow(
    expect.objectContaining({ code: HUGE > constants.MAX_LENGTH ? 'ERR_SHMLOOP_REGION' : 'ENOMEM' }),
  );
});

test('one that fits nowhere is an error at once, and leaves nothing', () => {
  const name = newName();
  const codes = HUGE > constants.MAX_LENGTH ? /^ERR_SHMLOOP_INVALID_ARGUMENT$/ : /^(ENOSPC|EFBIG|ENOMEM)$/;
  expect(() => NamedRegion.create(name, HUGE)).toThrow(expect.objectContaining({ code: expect.stringMatching(codes) }));
  expect(existsSync(`/dev/shm/${name}`)).toBe(false);
});

test.skipIf(!isRoot)('one of another user is not opened', () => {
  const name = newName();
  NamedRegion.create(name, 100).close();
  chownSync(`/dev/shm/${name}`, 12_345, 12_345);
  expect(() => NamedRegion.open(name)).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_PEER_REJECTED' }));
});

test.each(['', '.', '..', '/a', 'a/b', '-a', 'a b', 'x'.repeat(201), 5, null, undefined])(
  'its name cannot be %j',
  (name) => {
    const invalid = expect.objectContaining({ code: 'ERR_SHMLOOP_INVALID_NAME' });
    expect(() => NamedRegion.create(name as never, 100)).toThrow(invalid);
    expect(() => NamedRegion.open(name as never)).toThrow(invalid);
  },
);

test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '100', undefined, null])(
  'its length cannot be %j',
  (length) => {
    const name = newName();
    expect(() => NamedRegion.create(name, length as never)).toThrow(
      expect.objectContaining({ code: 'ERR_SHMLOOP_INVALID_ARGUMENT' }),
    );
    expect(existsSync(`/dev/shm/${name}`)).toBe(false);
  },
);
