import { describe, test } from 'vitest';
import { stress } from './stress.js';
import { usePrograms } from './support.js';

const start = usePrograms();
const SEEDS = Array.from({ length: 4 }, (_, i) => i + 1);
const SIZES = [4096, 8192, 16_384, 32_768, 131_072, 1_048_576];

describe.each([false, true])('switched under load: %s', (isUnderLoad) => {
  test.each(SIZES)('with rings of %d bytes, all that is sent arrives, with many seeds', async (ringSize) => {
    for (const seed of SEEDS) {
      await stress(start, { seed: seed * 1000 + ringSize, ringSize, connections: 4, total: 20_000_000, isUnderLoad });
    }
  });
});
