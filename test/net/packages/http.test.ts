import { describe, expect, test } from 'vitest';
import {
  expectCarried,
  expectSameCount,
  expectSwitched,
  LARGE_RINGS,
  type Outcome,
  type PairOptions,
  usePrograms,
} from './support.js';

const { runPair } = usePrograms();

function run<T>(scenario: string, options: PairOptions = {}): Promise<Outcome<T>> {
  return runPair('http-server', 'http-client', scenario, options);
}

describe.each(['eager', 'auto'])('node:http over shared memory, %s,', (upgrade) => {
  test('keeps a connection alive for many requests', async () => {
    const outcome = await run('keepAlive', { env: { ...LARGE_RINGS, SHMLOOP_UPGRADE: upgrade } });
    expectSwitched(outcome);
    expectCarried(outcome, 4_000_000);
    expectSameCount(outcome);
  });
});

describe('node:http over shared memory', () => {
  test("reads below JavaScript, as over TCP, until somebody listens to the server's socket", async () => {
    const outcome = await run('heard', { env: LARGE_RINGS });
    const [quiet, loud] = [false, true].map((heard) => ({ heard, length: 300_000 }));
    expect(outcome.result).toEqual([quiet, quiet, loud, loud]);
    expectSwitched(outcome);
    expectCarried(outcome, 1_200_000);
    expectSameCount(outcome);
  });

  test('runs ticks after each piece of a body that its parser finds, as over TCP', async () => {
    const outcome = await run<string>('pieces');
    expect(outcome.result).toBe('one tick microtask two tick microtask six tick microtask');
    expectSwitched(outcome);
  });

  test('answers pipelined requests in order', async () => {
    const outcome = await run('pipelining');
    expect(outcome.result).toBe(0);
    expectSwitched(outcome);
    expectCarried(outcome, 100_000);
    expectSameCount(outcome);
  });

  test('hands an upgraded connection over', async () => {
    const outcome = await run('upgrade', { env: LARGE_RINGS });
    expect(outcome.result).toEqual({ status: 101, transport: 'shm' });
    expectSwitched(outcome);
    expectCarried(outcome, 6_000_000);
    expectSameCount(outcome);
  });

  test('waits for 100 Continue, and hears a refusal', async () => {
    const outcome = await run('continue');
    expect(outcome.result).toBe(417);
    expectSwitched(outcome);
    expectCarried(outcome, 2000);
    expectSameCount(outcome);
  });

  test('carries chunked bodies with trailers both ways at once', async () => {
    const outcome = await run('chunked', { env: LARGE_RINGS });
    expect(outcome.result).toEqual({ encoding: 'chunked', trailers: { 'x-length': '3000000', 'x-sent': 'all' } });
    expectSwitched(outcome);
    expectCarried(outcome, 6_000_000);
    expectSameCount(outcome);
  });

  test('holds up a writer of large bodies whose reader is slow, either way', async () => {
    const outcome = await run('backpressure');
    expect(outcome.result).toEqual({ uploaded: 16 * 1024 * 1024, hasWaited: true });
    expectSwitched(outcome);
    expectCarried(outcome, 128 * 1024);
    expectSameCount(outcome);
  });
});

describe('a body that is broken off', () => {
  test('by the server is an error of the response, after all that was sent', async () => {
    const outcome = await run('serverBreaksOff', { env: LARGE_RINGS });
    expect(outcome.result).toEqual({ code: 'ECONNRESET', isComplete: false });
    expect(outcome.client.bytesShm).toBeGreaterThanOrEqual(400_000);
  });

  test('by the client who leaves the response closes it at the server', async () => {
    const outcome = await run('clientLeavesResponse', { env: LARGE_RINGS });
    expect(outcome.told).toContainEqual({ name: 'closed', isFinished: false });
    expect(outcome.server.bytesShm).toBeGreaterThanOrEqual(400_000);
  });

  test('by the client who leaves the request is an error at the server', async () => {
    const outcome = await run('clientLeavesRequest', { env: LARGE_RINGS });
    expect(outcome.told).toContainEqual({ name: 'request', code: 'ECONNRESET' });
    expect(outcome.server.bytesShm).toBeGreaterThanOrEqual(400_000);
  });
});
