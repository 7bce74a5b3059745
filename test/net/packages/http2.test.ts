import { describe, expect, test } from 'vitest';
import { useCertificates } from './certificates.js';
import { expectCarried, expectSwitched, LARGE_RINGS, type Outcome, usePrograms } from './support.js';

const { runPair } = usePrograms();
const certificates = useCertificates();

describe.each(['in the clear', 'over TLS'])('node:http2 %s over shared memory', (how) => {
  const isSecure = how === 'over TLS';

  function run<T>(scenario: string, env: NodeJS.ProcessEnv = {}): Promise<Outcome<T>> {
    return runPair('http2-server', 'http2-client', scenario, {
      env: { ...env, ...(isSecure ? certificates : {}) },
      serverArgs: isSecure ? ['secure'] : [],
    });
  }

  test.each(['eager', 'auto'])('carries many streams at once, %s', async (upgrade) => {
    const outcome = await run('manyStreams', { ...LARGE_RINGS, SHMLOOP_UPGRADE: upgrade });
    expect(outcome.result).toEqual({ transport: 'shm', protocol: isSecure ? 'h2' : 'h2c' });
    expectSwitched(outcome);
    expectCarried(outcome, 4_000_000);
  });

  test.each([4096, 65_536, 8 * 1024 * 1024])(
    'carries large bodies both ways at once, through rings of %i bytes',
    async (ringSize) => {
      const outcome = await run('crossing', { SHMLOOP_RING_SIZE: String(ringSize) });
      expectSwitched(outcome, 4);
      expectCarried(outcome, 100_000);
    },
  );

  test('carries large bodies between slow readers', async () => {
    const outcome = await run('largeBodies');
    expect(outcome.result).toBe(16 * 1024 * 1024);
    expectSwitched(outcome);
    expectCarried(outcome, 128 * 1024);
  });

  test('answers pings', async () => {
    expectSwitched(await run('ping'));
  });

  test('goes on after a stream that the client cancels', async () => {
    const outcome = await run('cancel');
    expect(outcome.told).toEqual(['/endless aborted']);
    expectSwitched(outcome);
  });

  test('tells the server of a session that the client destroys', async () => {
    const outcome = await run('destroy');
    expect(outcome.told).toContain('/endless aborted');
    expectSwitched(outcome);
  });
});

describe.each(['eager', 'auto'])('HTTP/2 over a socket that is connected already, %s,', (upgrade) => {
  const env = { ...LARGE_RINGS, SHMLOOP_UPGRADE: upgrade };

  test('goes through shared memory', async () => {
    const outcome = await runPair('http2-server', 'http2-client', 'overSocket', { env });
    expectSwitched(outcome);
    expectCarried(outcome, 2_000_000);
  });

  test('stays on TCP where the server does not switch', async () => {
    const options = { env, serverEnv: { SHMLOOP_PORTS: '1' } };
    const { client } = await runPair('http2-server', 'http2-client', 'overSocketOnTcp', options);
    expect(client).toMatchObject({ switched: 0, tcp: 1, bytesShm: 0 });
  });
});
