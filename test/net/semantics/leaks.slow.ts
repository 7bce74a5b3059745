import { expect, test } from 'vitest';
import { type Program, usePrograms } from './support.js';

const start = usePrograms();
const MIB = 1024 * 1024;
const BATCHES = 10;
const BATCH = 5000;
/** What the heap and the allocator make of it; a leak of one kilobyte a connection would be twice that. */
const MAX_GROWTH = 24 * MIB;

interface Sample {
  resident: number;
  descriptors: number;
  mappings: number;
}

test('50,000 connections opened and closed in every way: no growth', async () => {
  const execArgv = ['--expose-gc'];
  const server = start('opening', { execArgv });
  const port = await server.said<number>();
  const client = start('opening', { execArgv, args: { port } });
  const samples = new Map<Program, Sample[]>([
    [client, []],
    [server, []],
  ]);
  for (let i = 0; i < BATCHES; i++) {
    for (const [program, taken] of samples) {
      program.tell(BATCH);
      taken.push(await program.said<Sample>());
    }
  }
  for (const taken of samples.values()) expectNoGrowth(taken);
});

/** From the plateau that half of the batches reach. */
function expectNoGrowth(samples: Sample[]) {
  const [first, last] = [samples[BATCHES / 2 - 1], samples.at(-1)] as [Sample, Sample];
  console.log(`resident ${samples.map(({ resident }) => (resident / MIB).toFixed(1)).join(', ')} MiB`);
  expect(last.descriptors).toBe(first.descriptors);
  expect(last.mappings - first.mappings).toBeLessThanOrEqual(50);
  expect(last.resident - first.resident).toBeLessThanOrEqual(MAX_GROWTH);
}
