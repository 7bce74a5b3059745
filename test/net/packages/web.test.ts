import { describe, expect, test } from 'vitest';
import { expectCarried, expectSameCount, expectSwitched, LARGE_RINGS, usePrograms } from './support.js';

const { runPair } = usePrograms();

describe.each(['express', 'fastify'])('%s over shared memory', (framework) => {
  test.each(['eager', 'auto'])('answers as ever, %s', async (upgrade) => {
    const env = { ...LARGE_RINGS, SHMLOOP_UPGRADE: upgrade };
    const outcome = await runPair(`${framework}-server`, 'web-client', 'web', { env });
    expect(outcome.result).toEqual({ file: true, error: [418, 'on purpose'] });
    expectSwitched(outcome);
    expectCarried(outcome, 6_000_000);
    expectSameCount(outcome);
  });
});
