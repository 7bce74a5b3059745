import { describe, expect, test } from 'vitest';
import { expectCarried, expectSameCount, expectSwitched, LARGE_RINGS, type Outcome, usePrograms } from './support.js';

const { runPair } = usePrograms();

function run<T>(scenario: string, env: NodeJS.ProcessEnv = {}, serverArgs: string[] = []): Promise<Outcome<T>> {
  return runPair('ws-server', 'ws-client', scenario, { env, serverArgs });
}

describe('ws over shared memory', () => {
  test.each(['eager', 'auto'])('carries binary messages of 1 MiB, %s', async (upgrade) => {
    const outcome = await run('messages', { ...LARGE_RINGS, SHMLOOP_UPGRADE: upgrade });
    expect(outcome.result).toBe('shm');
    expect(outcome.told).toEqual([{ code: 1000, reason: 'done' }]);
    expectSwitched(outcome);
    expectCarried(outcome, 18_000_000);
    expectSameCount(outcome);
  });

  test('carries messages through rings that are smaller than they are', async () => {
    const outcome = await run('messages', { SHMLOOP_RING_SIZE: '65536' });
    expect(outcome.result).toBe('shm');
    expectSwitched(outcome);
    expectSameCount(outcome);
  });

  test('keeps the order of many messages sent at once', async () => {
    const outcome = await run('manyAtOnce', LARGE_RINGS);
    expectSwitched(outcome);
    expectCarried(outcome, 4_000_000);
    expectSameCount(outcome);
  });

  test('compresses messages', async () => {
    const outcome = await run('manyAtOnce', LARGE_RINGS, ['deflate']);
    expectSwitched(outcome);
    expectSameCount(outcome);
  });

  test('answers a ping, and carries the code and reason of the end', async () => {
    const outcome = await run('ping');
    expect(outcome.result).toBe('are you there');
    expect(outcome.told).toEqual(['ping are you there', { code: 4001, reason: 'own code' }]);
    expectSwitched(outcome);
  });

  test('tells the server of a client that terminates', async () => {
    const outcome = await run('terminate', LARGE_RINGS);
    expect(outcome.told).toEqual([{ code: 1006, reason: '' }]);
    expectSwitched(outcome);
    expectCarried(outcome, 200_000);
  });
});
