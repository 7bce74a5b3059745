import { closeSync, ftruncateSync, openSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { PAGE } from '../../src/layout.js';
import { NamedRegion, Region } from '../../src/memory/index.js';
import { type Descriptor, native } from '../../src/native.js';
import { transfer } from '../support/transfer.js';

const SEAL = { seal: 1, shrink: 2, grow: 4, write: 8 };
const refused = expect.objectContaining({ name: 'ShmloopError', code: 'ERR_SHMLOOP_REGION' });

function isOpen(number: number): boolean {
  try {
    closeSync(openSync(`/proc/self/fdinfo/${number}`, 'r'));
    return true;
  } catch {
    return false;
  }
}

function mappings(): number {
  return readFileSync('/proc/self/maps', 'latin1').split('memfd:shmloop').length - 1;
}

function made(length: number, seals: number): Descriptor {
  const descriptor = native().createMemory('test', length);
  if (seals !== 0) native().sealMemory(descriptor, seals);
  return descriptor;
}

describe('a region', () => {
  test('is sealed against any change of its size, and against other seals', () => {
    const { descriptor } = Region.create(2 * PAGE, 'plain');
    const [size, seals, tmpfs, uid] = native().inspectMemory(descriptor);
    expect([size, tmpfs, uid]).toEqual([2 * PAGE, true, process.geteuid?.()]);
    expect(seals & (SEAL.seal | SEAL.shrink | SEAL.grow)).toBe(7);
    const again = openSync(`/proc/self/fd/${descriptor.number}`, 'r+');
    expect(() => ftruncateSync(again, PAGE)).toThrow(expect.objectContaining({ code: 'EPERM' }));
    expect(() => ftruncateSync(again, 3 * PAGE)).toThrow(expect.objectContaining({ code: 'EPERM' }));
    expect(() => native().sealMemory(descriptor, SEAL.write)).toThrow(expect.objectContaining({ code: 'EPERM' }));
    closeSync(again);
    descriptor.close();
  });

  test('is adopted with its bytes, and its descriptor is closed', () => {
    const { region, descriptor } = Region.create(PAGE, 'plain');
    const { number } = descriptor;
    const adopted = Region.adopt(descriptor, PAGE, 'plain');
    expect(isOpen(number)).toBe(false);
    expect(descriptor.number).toBe(-1);
    Buffer.from(region.memory).write('here', 100);
    expect(Buffer.from(adopted.memory).toString('latin1', 100, 104)).toBe('here');
  });

  test('that is laid out as a ring has its data twice', () => {
    const { region, descriptor } = Region.create(2 * PAGE, 'ring');
    descriptor.close();
    const bytes = Buffer.from(region.memory);
    expect(bytes.length).toBe(3 * PAGE);
    bytes.write('across the end', 2 * PAGE - 6);
    expect(bytes.toString('latin1', PAGE, PAGE + 8)).toBe(' the end');
    expect(bytes.toString('latin1', 3 * PAGE - 6)).toBe('across');
  });

  test.each([
    ['without seals', () => made(PAGE, 0)],
    ['that can still be shrunk', () => made(PAGE, SEAL.seal | SEAL.grow)],
    ['that can still grow', () => made(PAGE, SEAL.seal | SEAL.shrink)],
    ['whose seals can still be added to', () => made(PAGE, SEAL.shrink | SEAL.grow)],
    ['that is too small', () => made(PAGE - 1, 7)],
    ['that is too large', () => made(2 * PAGE, 7)],
    ['that is empty', () => made(0, 7)],
  ])('%s is refused, and its descriptor is closed', (_what, make) => {
    const descriptor = make();
    const { number } = descriptor;
    expect(() => Region.adopt(descriptor, PAGE, 'plain')).toThrow(refused);
    expect(isOpen(number)).toBe(false);
  });

  test('of more bytes than its seals were made for is refused although they are all there', () => {
    expect(() => Region.adopt(made(PAGE + 100, 7), PAGE + 100, 'plain')).toThrow(refused);
  });

  test('that is a doorbell or a socket is refused', () => {
    expect(() => Region.adopt(native().createDoorbell()[0], PAGE, 'plain')).toThrow(refused);
  });

  test('keeps a view valid after it was retired, private and zero, where one was lent', () => {
    const { region, descriptor } = Region.create(PAGE, 'plain');
    const other = Region.adopt(descriptor, PAGE, 'plain');
    region.lend();
    const view = Buffer.from(region.memory);
    view.fill(1);
    region.retire();
    region.retire();
    expect(view.every((byte) => byte === 0)).toBe(true);
    view.fill(2);
    expect(Buffer.from(other.memory).every((byte) => byte === 1)).toBe(true);
  });

  test('is retired in the ArrayBuffer that the application moved it to, which stays valid', () => {
    const { region, descriptor } = Region.create(PAGE, 'plain');
    const other = Region.adopt(descriptor, PAGE, 'plain');
    region.lend();
    const view = Buffer.from(transfer(region.memory));
    view.fill(1);
    expect(region.isTaken).toBe(true);
    // Somebody else holds it.
    expect(() => native().unmapMemory(region.memory)).toThrow();
    region.retire();
    expect(view.every((byte) => byte === 0)).toBe(true);
    view.fill(2);
    expect(Buffer.from(other.memory).every((byte) => byte === 1)).toBe(true);
  });

  test('that went with the ArrayBuffer that it was moved to is retired, and nothing else in its place', async () => {
    const { region, descriptor } = Region.create(PAGE, 'plain');
    descriptor.close();
    region.lend();
    const before = mappings();
    // Of another length it is a copy, and the memory goes.
    transfer(region.memory, 2 * PAGE);
    while (mappings() === before) await new Promise(setImmediate);
    const others = Array.from({ length: 20 }, () => {
      const { region, descriptor } = Region.create(PAGE, 'plain');
      descriptor.close();
      Buffer.from(region.memory).fill(3);
      return region;
    });
    region.retire();
    for (const { memory } of others) expect(Buffer.from(memory).every((byte) => byte === 3)).toBe(true);
  });

  test('is detached at once where no view was lent', () => {
    const { region, descriptor } = Region.create(PAGE, 'plain');
    descriptor.close();
    const view = Buffer.from(region.memory);
    region.retire();
    region.retire();
    expect(region.memory.byteLength).toBe(0);
    expect(view.length).toBe(0);
  });

  test('that cannot be is an error of the kernel, and leaves no descriptor', () => {
    expect(() => Region.create(2 ** 52, 'plain')).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^E[A-Z]+$/), syscall: expect.any(String) }),
    );
  });

  test('can have its pages taken ahead', () => {
    const { region, descriptor } = Region.create(4 * PAGE, 'ring');
    descriptor.close();
    region.populate(0, 4 * PAGE);
    expect(Buffer.from(region.memory).every((byte) => byte === 0)).toBe(true);
  });
});

test('memory that is no memfd is refused: it cannot be sealed', () => {
  const name = `shmloop-test-${process.pid}-region`;
  const named = NamedRegion.create(name, PAGE);
  const descriptor = native().openNamedMemory(`/${name}`);
  named.unlink();
  named.close();
  expect(() => Region.adopt(descriptor, PAGE, 'plain')).toThrow(refused);
});
