import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createRegion, type RegionOptions } from '../../src/index.js';
import { insideOf, type SharedRegion } from '../../src/memory/index.js';
import { type Descriptor, native } from '../../src/native.js';
import { transfer } from '../support/transfer.js';

const coded = (code: string) => expect.objectContaining({ code });
const refused = coded('EPERM');

/** What a peer has that was passed the region. */
function passed(region: SharedRegion, isDone = false): Descriptor {
  let taken: Descriptor | undefined;
  insideOf(region).pass((descriptor, done) => {
    taken = descriptor;
    if (isDone) done();
  });
  return taken as Descriptor;
}

/** Every way that a peer has to write to, or to change, memory that was passed to it. */
function attempts(descriptor: Descriptor): Record<string, () => unknown> {
  const through = (act: (fd: number) => unknown) => () => {
    const fd = openSync(`/proc/self/fd/${descriptor.number}`, 'r+');
    try {
      return act(fd);
    } finally {
      closeSync(fd);
    }
  };
  return {
    map: () => native().mapMemory(descriptor, 4096),
    write: through((fd) => writeSync(fd, 'changed')),
    shrink: through((fd) => ftruncateSync(fd, 0)),
    grow: through((fd) => ftruncateSync(fd, 1 << 20)),
    seal: () => native().sealMemory(descriptor, 8),
  };
}

describe('a region', () => {
  test('is of whole pages, and zero', () => {
    using region = createRegion(5000);
    expect([region.length, region.buffer.length, region.writable, region.immutable]).toEqual([
      8192,
      8192,
      'owner',
      false,
    ]);
    expect(region.buffer.every((byte) => byte === 0)).toBe(true);
  });

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '1', undefined])('of %o bytes is none', (size) => {
    expect(() => createRegion(size as number)).toThrow(coded('ERR_SHMLOOP_INVALID_ARGUMENT'));
  });

  test('is writable by its owner or by peers, and nothing else', () => {
    expect(() => createRegion(1, { writable: 'all' } as unknown as RegionOptions)).toThrow(
      coded('ERR_SHMLOOP_INVALID_ARGUMENT'),
    );
  });

  test('of its owner cannot be written by who it was passed to, in any way, while the owner writes on', () => {
    using region = createRegion(4096);
    const descriptor = passed(region);
    for (const [way, attempt] of Object.entries(attempts(descriptor))) expect(attempt, way).toThrow(refused);
    const seen = Buffer.from(native().mapMemory(descriptor, 4096, true));
    region.buffer.write('on and on');
    expect(seen.toString('latin1', 0, 9)).toBe('on and on');
  });

  test('that is immutable cannot be written by anybody, its owner included', () => {
    using region = createRegion(4096);
    region.buffer.write('as it was');
    expect(region.seal().seal().immutable).toBe(true);
    const descriptor = passed(region);
    for (const [way, attempt] of Object.entries(attempts(descriptor))) expect(attempt, way).toThrow(refused);
    const seen = Buffer.from(native().mapMemory(descriptor, 4096, true));
    region.buffer.write('changed');
    expect(seen.toString('latin1', 0, 9)).toBe('as it was');
  });

  test('that peers may write keeps its size', () => {
    using region = createRegion(4096, { writable: 'peers' });
    const { map, write, ...rest } = attempts(passed(region));
    for (const [way, attempt] of Object.entries(rest)) expect(attempt, way).toThrow(refused);
    expect([map, write].map((attempt) => attempt?.())).toEqual([expect.any(ArrayBuffer), 7]);
    expect(region.buffer.toString('latin1', 0, 7)).toBe('changed');
  });

  test('cannot be made immutable once it was passed as a live one, or is closed', () => {
    const region = createRegion(4096);
    passed(region);
    expect(() => region.seal()).toThrow(coded('ERR_SHMLOOP_GRANT'));
    region.close();
    expect(() => region.seal()).toThrow(coded('ERR_SHMLOOP_CLOSED'));
  });

  test('whose memory the application transferred is closed, and its descriptor', () => {
    const region = createRegion(4096);
    const view = Buffer.from(transfer(region.buffer.buffer as ArrayBuffer));
    view.fill(1);
    const descriptor = passed(region, true);
    region.close();
    expect(descriptor.number).toBe(-1);
    expect(view.every((byte) => byte === 0)).toBe(true);
  });

  test('whose memory the application transferred is sealed', () => {
    using region = createRegion(4096);
    const view = Buffer.from(transfer(region.buffer.buffer as ArrayBuffer));
    view.write('as it was');
    region.seal();
    const seen = Buffer.from(native().mapMemory(passed(region), 4096, true));
    view.write('changed');
    expect(seen.toString('latin1', 0, 9)).toBe('as it was');
  });

  test('that is closed while its descriptor is on its way closes that when it has gone', () => {
    const region = createRegion(4096);
    let finish = (): void => undefined;
    let descriptor: Descriptor | undefined;
    insideOf(region).pass((passing, done) => {
      descriptor = passing;
      finish = done;
    });
    region.close();
    expect(region.closed).toBe(true);
    expect(descriptor?.number).not.toBe(-1);
    finish();
    expect(descriptor?.number).toBe(-1);
  });
});
