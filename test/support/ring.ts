import { PAGE } from '../../src/layout.js';
import { Region } from '../../src/memory/index.js';
import { RingMemory, RingReader, RingWriter, ringFileLength } from '../../src/ring/index.js';

export interface Ring {
  writer: RingWriter;
  reader: RingReader;
  /** The writer's own mapping of the memory, for hostile ones. */
  memory: RingMemory;
  /** How often each side was told to wake. */
  readonly notified: { reader: number; writer: number };
}

/** A ring whose two ends map the memory for themselves, as two domains do. */
export function makeRing(capacity: number = PAGE, Reader: typeof RingReader = RingReader): Ring {
  const notified = { reader: 0, writer: 0 };
  const { region, descriptor } = Region.create(ringFileLength(capacity), 'ring');
  const own = new RingMemory(region);
  RingReader.format(own);
  const memory = new RingMemory(Region.adopt(descriptor, ringFileLength(capacity), 'ring'));
  return {
    writer: new RingWriter(memory, () => notified.reader++),
    reader: new Reader(own, () => notified.writer++),
    memory,
    notified,
  };
}

/** Bytes that tell themselves apart from those before, after and missing. */
export function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = (seed * 31 + i * 7 + (i >> 8)) & 255;
  return bytes;
}
