import { describe, expect, test } from 'vitest';
import { expectCarried, expectSwitched, LARGE_RINGS, type Outcome, usePrograms } from './support.js';

const { runPair } = usePrograms();

describe.each(['eager', 'auto'])('gRPC over shared memory, %s,', (upgrade) => {
  function run<T>(scenario: string): Promise<Outcome<T>> {
    const env = { ...LARGE_RINGS, SHMLOOP_UPGRADE: upgrade };
    return runPair('grpc-server', 'grpc-client', scenario, { env });
  }

  test('makes many calls at once, and hears of failures', async () => {
    const outcome = await run('unary');
    expect(outcome.result).toEqual({ code: 5, details: 'on purpose' });
    expectSwitched(outcome);
    expectCarried(outcome, 5_000_000);
  });

  test('streams from the server', async () => {
    const outcome = await run('serverStream');
    expect(outcome.result).toBe(300);
    expectSwitched(outcome);
    expectCarried(outcome, 3_000_000);
  });

  test('streams from the client', async () => {
    const outcome = await run('clientStream');
    expectSwitched(outcome);
    expectCarried(outcome, 4_000_000);
  });

  test('streams both ways', async () => {
    const outcome = await run('bidirectional');
    expect(outcome.result).toBe(true);
    expectSwitched(outcome);
    expectCarried(outcome, 1_900_000);
  });

  test('cancels a call, which the server hears, and makes the next', async () => {
    const outcome = await run('cancel');
    expect(outcome.result).toBe(1);
    expect(outcome.told).toEqual(['cancelled']);
    expectSwitched(outcome);
  });
});
