import { describe, expect, test } from 'vitest';
import { expectCarried, expectSwitched, LARGE_RINGS, type Outcome, usePrograms } from './support.js';

const { runPair } = usePrograms();

describe.each(['eager', 'auto'])('fetch over shared memory, %s,', (upgrade) => {
  function run<T>(scenario: string): Promise<Outcome<T>> {
    const env = { ...LARGE_RINGS, SHMLOOP_UPGRADE: upgrade };
    return runPair('http-server', 'fetch-client', scenario, { env });
  }

  test('carries small and large bodies', async () => {
    const outcome = await run('requests');
    expectSwitched(outcome);
    expectCarried(outcome, 4_000_000);
  });

  test('switches the connections that it keeps by itself', async () => {
    const { client, server } = await run('globalDispatcher');
    expect(client.switched).toBeGreaterThanOrEqual(1);
    expect(server.switched).toBeGreaterThanOrEqual(1);
  });

  test('streams a body there and back', async () => {
    const outcome = await run('streams');
    expectSwitched(outcome);
    expectCarried(outcome, 4_000_000);
  });

  test('aborts, which the server hears', async () => {
    const outcome = await run('abort');
    expect(outcome.result).toBe('AbortError');
    expect(outcome.told).toContainEqual({ name: 'closed', isFinished: false });
    expect(outcome.client.switched).toBeGreaterThanOrEqual(1);
  });

  test('rejects when the server breaks off', async () => {
    const outcome = await run('broken');
    expect(outcome.result).toEqual({ name: 'TypeError', code: 'UND_ERR_SOCKET' });
    expect(outcome.client.bytesShm).toBeGreaterThanOrEqual(400_000);
  });
});
