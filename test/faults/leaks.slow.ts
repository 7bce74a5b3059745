import { test } from 'vitest';
import { expectNoGrowth } from '../support/growth.js';
import { useSandbox } from './support.js';

const sandbox = useSandbox();

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
