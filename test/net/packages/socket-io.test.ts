import { describe, expect, test } from 'vitest';
import { expectCarried, LARGE_RINGS, usePrograms } from './support.js';

const { runPair } = usePrograms();

describe.each(['eager', 'auto'])('Socket.IO over shared memory, %s,', (upgrade) => {
  test.each([
    ['exchanges messages by WebSocket', 'websocket', 'websocket', 6_000_000],
    ['exchanges messages by polling', 'polling', 'polling', 3_000_000],
    ['goes from polling to WebSocket', 'upgrade', 'websocket', 600_000],
  ])('%s', async (_, scenario, transport, atLeast) => {
    const env = { ...LARGE_RINGS, SHMLOOP_UPGRADE: upgrade };
    const outcome = await runPair('socket-io-server', 'socket-io-client', scenario, { env });
    expect(outcome.result).toBe(transport);
    for (const told of outcome.told) expect(told).toEqual({ reason: 'client namespace disconnect', transport });
    expectCarried(outcome, atLeast);
  });
});
