import { expect } from 'vitest';

const MIB = 1024 * 1024;
/** What the heap and the allocator make of it; of 50,000 cycles a leak of one kilobyte each would be more. */
const MAX_GROWTH = 24 * MIB;

/** What a process had at one time. */
export interface Sample {
  /** Resident, in bytes. */
  rss: number;
  descriptors: number;
  mappings: number;
}

/** Demands no growth from the plateau that half of the cycles reach. @param samples ten, evenly */
export function expectNoGrowth(what: string, samples: readonly Sample[]): void {
  const [start, end] = [samples[4], samples.at(-1)] as [Sample, Sample];
  console.log(
    `${what}: resident ${(start.rss / MIB).toFixed(1)} -> ${(end.rss / MIB).toFixed(1)} MiB, ` +
      `mappings ${start.mappings} -> ${end.mappings}, descriptors ${start.descriptors} -> ${end.descriptors}`,
  );
  expect(end.descriptors).toBe(start.descriptors);
  expect(end.mappings - start.mappings).toBeLessThanOrEqual(50);
  expect(end.rss - start.rss).toBeLessThanOrEqual(MAX_GROWTH);
}
