import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useCertificates } from './certificates.js';
import { type DatabaseServer, postgres, startPostgres } from './servers.js';
import { usePrograms } from './support.js';

const { runClient } = usePrograms();
const certificates = useCertificates();

describe.skipIf(postgres === undefined)('pg stays on TCP with a PostgreSQL server (is postgresql installed?)', () => {
  let server: DatabaseServer;
  beforeAll(async () => {
    server = await startPostgres(certificates.CERTIFICATES);
  });
  afterAll(() => server?.stop());

  describe.each(['eager', 'auto'])('%s,', (upgrade) => {
    function run<T>(scenario: string) {
      return runClient<T>('pg-client', scenario, server.port, { ...certificates, SHMLOOP_UPGRADE: upgrade });
    }

    test('and runs queries', async () => {
      const { result, client } = await run('queries');
      expect(result).toEqual({ reason: 'peer', rows: 200, error: '42703' });
      expect(client).toMatchObject({ switched: 0, tcp: 1, bytesShm: 0 });
    });

    test('and runs queries over TLS, which begins after an exchange in the clear', async () => {
      const { result, client } = await run('secure');
      expect(result).toEqual({ reason: 'peer', rows: 200, error: '42703', ssl: true });
      expect(client).toMatchObject({ switched: 0, tcp: 1, bytesShm: 0 });
    });

    test('and notifies listeners', async () => {
      const { result, client } = await run('notify');
      expect(result).toEqual({ reasons: ['peer', 'peer'], payload: 'text' });
      expect(client).toMatchObject({ switched: 0, tcp: 2, reasons: { peer: 2 }, bytesShm: 0 });
    });

    test('and hears that its backend is terminated', async () => {
      const { result, client } = await run('terminated');
      expect(result).toBe('57P01');
      expect(client).toMatchObject({ switched: 0, bytesShm: 0 });
    });
  });
});
