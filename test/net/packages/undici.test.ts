import { describe, test } from 'vitest';
import { expectCarried, expectSameCount, expectSwitched, LARGE_RINGS, usePrograms } from './support.js';

const { runPair } = usePrograms();

describe.each(['eager', 'auto'])('undici over shared memory, %s,', (upgrade) => {
  test.each([
    ['keeps the connections of a pool alive', 'pool', 4, 7_000_000],
    ['has requests pipelined', 'pipelining', 1, 1_000_000],
    ['streams a body there and back', 'streams', 1, 4_000_000],
    ['upgrades a connection', 'upgrade', 1, 2_000_000],
  ])('%s', async (_, scenario, connections, atLeast) => {
    const env = { ...LARGE_RINGS, SHMLOOP_UPGRADE: upgrade };
    const outcome = await runPair('http-server', 'undici-client', scenario, { env });
    expectSwitched(outcome, connections);
    expectCarried(outcome, atLeast);
    expectSameCount(outcome);
  });
});
