import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DatabaseServer, redisServer, startRedis } from './servers.js';
import { usePrograms } from './support.js';

const { runClient } = usePrograms();

describe.skipIf(redisServer === undefined)(
  'ioredis stays on TCP with a Redis server (is redis-server installed?)',
  () => {
    let server: DatabaseServer;
    beforeAll(async () => {
      server = await startRedis();
    });
    afterAll(() => server?.stop());

    describe.each(['eager', 'auto'])('%s,', (upgrade) => {
      function run<T>(scenario: string) {
        return runClient<T>('redis-client', scenario, server.port, { SHMLOOP_UPGRADE: upgrade });
      }

      test('and runs commands, pipelines and transactions', async () => {
        const { result, client } = await run('commands');
        expect(result).toEqual({ reason: 'peer', sum: 1_999_000, set: 'OK', length: 2, error: 'ERR unknown command' });
        expect(client).toMatchObject({ switched: 0, tcp: 1, bytesShm: 0 });
      });

      test('and publishes to subscribers', async () => {
        const { result, client } = await run('publish');
        expect(result).toEqual(['peer', 'peer']);
        expect(client).toMatchObject({ switched: 0, tcp: 2, reasons: { peer: 2 }, bytesShm: 0 });
      });

      test('and waits for what another connection brings', async () => {
        const { result, client } = await run('block');
        expect(result).toEqual({ reasons: ['peer', 'peer'], result: ['list', 'element'] });
        expect(client).toMatchObject({ switched: 0, tcp: 2, reasons: { peer: 2 }, bytesShm: 0 });
      });
    });
  },
);
