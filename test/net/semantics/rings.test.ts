import { test } from 'vitest';
import { stress } from './stress.js';
import { usePrograms } from './support.js';

const start = usePrograms();

test.each([4096, 8192, 16_384, 65_536, 262_144])(
  'with rings of %d bytes, all that is sent arrives',
  async (ringSize) => {
    await stress(start, { seed: ringSize + 7, ringSize, connections: 3, total: 2_000_000 });
  },
);

test('a connection that switches while it is under load loses nothing', async () => {
  await stress(start, { seed: 11, ringSize: 65_536, connections: 4, total: 2_000_000, isUnderLoad: true });
});
