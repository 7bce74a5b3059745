import { closeSync, openSync, unlinkSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { NamedRegion } from '../../src/index.js';
import { Region } from '../../src/memory/index.js';
import { RingMemory, RingReader, RingWriter, ringFileLength } from '../../src/ring/index.js';

interface Mmap {
  readonly PROT_READ: number;
  readonly PROT_WRITE: number;
  readonly MAP_SHARED: number;
  map(size: number, protection: number, privacy: number, fd: number, offset?: number): Buffer;
}

const mmap = await load();
const names: string[] = [];

async function load(): Promise<Mmap | undefined> {
  try {
    const name = '@raygun-nickj/mmap-io';
    const library = await import(name);
    return library.default ?? library;
  } catch {
    return undefined;
  }
}

afterEach(() => {
  for (const name of names.splice(0)) unlinkSync(`/dev/shm/${name}`);
});

function newName(): string {
  const name = `shmloop-test-${process.pid}-${names.length}`;
  names.push(name);
  return name;
}

/** The file as the other library maps it. */
function mapAgain(path: string, length: number, offset = 0): Buffer {
  const { map, PROT_READ, PROT_WRITE, MAP_SHARED } = mmap as Mmap;
  const fd = openSync(path, 'r+');
  try {
    return map(length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
  } finally {
    closeSync(fd);
  }
}

const why = mmap === undefined ? ' (skipped: it could not be installed for this Node)' : '';

describe.skipIf(mmap === undefined)(`another library's mapping, @raygun-nickj/mmap-io${why}`, () => {
  test('of a named region sees the same bytes, both ways', () => {
    const region = NamedRegion.create(newName(), 8192);
    const own = Buffer.from(region.memory);
    const theirs = mapAgain(`/dev/shm/${region.name}`, 8192);
    own.write('from here', 5000);
    expect(theirs.toString('latin1', 5000, 5009)).toBe('from here');
    theirs.write('from there', 0);
    expect(own.toString('latin1', 0, 10)).toBe('from there');
    expect(own.equals(theirs)).toBe(true);
    region.close();
  });

  test('of a sealed region sees the same bytes, both ways', () => {
    const { region, descriptor } = Region.create(8192, 'plain');
    const own = Buffer.from(region.memory);
    const theirs = mapAgain(`/proc/self/fd/${descriptor.number}`, 8192);
    descriptor.close();
    own.write('from here', 4090);
    theirs.write('from there', 100);
    expect(theirs.toString('latin1', 4090, 4099)).toBe('from here');
    expect(own.toString('latin1', 100, 110)).toBe('from there');
  });

  test('of a ring sees its frames where the layout says', () => {
    const capacity = 4096;
    const { region, descriptor } = Region.create(ringFileLength(capacity), 'ring');
    const theirs = mapAgain(`/proc/self/fd/${descriptor.number}`, ringFileLength(capacity));
    descriptor.close();
    const memory = new RingMemory(region);
    RingReader.format(memory);
    expect(theirs.readInt32LE(0)).toBe(capacity);
    const writer = new RingWriter(memory, () => undefined);
    for (let round = 0; round < 5; round++) {
      expect(writer.hasRoom(1024)).toBe(true);
      writer.fillHeader(1, 1000);
      writer.fill(8, Buffer.alloc(1000, 0x61 + round), 0, 1000);
      writer.advance(1008);
      writer.publish();
      expect(theirs.readInt32LE(0)).toBe(capacity - 1008);
      const at = (round * 1008) % capacity;
      expect(theirs.readInt32LE(4096 + at)).toBe(1);
      expect(theirs.readInt32LE(4096 + at + 4)).toBe(1000);
      // The mirror: what goes past the end of the ring is at its beginning.
      expect(theirs[4096 + ((at + 8 + 999) % capacity)]).toBe(0x61 + round);
      const reader = new RingReader(memory, () => undefined);
      reader.observe();
      reader.take(1008);
      reader.release();
    }
  });
});
