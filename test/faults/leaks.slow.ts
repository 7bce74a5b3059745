import { expect, test } from 'vitest';
import { type Report, useSandbox } from './support.js';

const sandbox = useSandbox();
const MiB = 1024 * 1024;
/** What the heap and the allocator make of it; a leak of one kilobyte a cycle would be many times that. */
const MAX_GROWTH = 24 * MiB;

test('100,000 channels opened and closed over one link: no growth', async () => {
  const peer = sandbox.start('counting-peer', { name: 'cycles' });
  await peer.next('bound');
  const config = { what: 'channels', name: 'cycles', cycles: 100_000, peer: peer.pid };
  const { samples, peerSamples } = await sandbox.run('cycling', config);
  expectNoGrowth('channels', samples);
  expectNoGrowth('channels, the other end', peerSamples);
});

test('4,000 links set up by peers that hang up: no growth', async () => {
  const { samples } = await sandbox.run('cycling', { what: 'links', cycles: 4000 });
  expectNoGrowth('accepted links', samples);
});

test('4,000 links dialed, to peers that hang up: no growth', async () => {
  const { samples } = await sandbox.run('cycling', { what: 'deaths', cycles: 4000 });
  expectNoGrowth('dialed links', samples);
});

/** From the plateau that half of the cycles reach. */
function expectNoGrowth(what: string, samples: Report[]) {
  const [start, end] = [samples[4], samples.at(-1)];
  console.log(
    `${what}: resident ${(start.rss / MiB).toFixed(1)} -> ${(end.rss / MiB).toFixed(1)} MiB, ` +
      `mappings ${start.mappings} -> ${end.mappings}, descriptors ${start.descriptors} -> ${end.descriptors}`,
  );
  expect(end.descriptors).toBe(start.descriptors);
  expect(end.mappings - start.mappings).toBeLessThanOrEqual(50);
  expect(end.rss - start.rss).toBeLessThanOrEqual(MAX_GROWTH);
}
