import { describe, expect, test } from 'vitest';
import { useCertificates } from './certificates.js';
import { expectCarried, expectSwitched, LARGE_RINGS, type Outcome, usePrograms } from './support.js';

const { runPair } = usePrograms();
const certificates = useCertificates();

function run<T>(scenario: string, serverArgs: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Outcome<T>> {
  return runPair('https-server', 'https-client', scenario, { env: { ...certificates, ...env }, serverArgs });
}

describe.each(['eager', 'auto'])('node:https over shared memory, %s,', (upgrade) => {
  test('keeps a connection alive for many requests', async () => {
    const outcome = await run('keepAlive', [], { ...LARGE_RINGS, SHMLOOP_UPGRADE: upgrade });
    expectSwitched(outcome);
    expectCarried(outcome, 4_000_000);
  });
});

describe('node:https over shared memory', () => {
  test('carries large bodies through small rings', async () => {
    const outcome = await run('keepAlive', [], { SHMLOOP_RING_SIZE: '16384' });
    expectSwitched(outcome);
    expectCarried(outcome, 1_000_000);
  });

  test('knows the client by its certificate', async () => {
    const outcome = await run('clientCertificate', ['mutual']);
    expect(outcome.result).toEqual({ who: 'somebody', isAuthorized: true, protocol: 'TLSv1.3' });
    expectSwitched(outcome);
  });

  test('refuses a client without a certificate', async () => {
    const { result, told } = await run('noCertificate', ['mutual']);
    expect(result).toBe('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
    expect(told).toEqual(['ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE']);
  });

  test('refuses a server whose authority it does not know', async () => {
    const { result } = await run('wrongAuthority');
    expect(result).toBe('SELF_SIGNED_CERT_IN_CHAIN');
  });

  test('has an error for a response that the server breaks off, after all that was sent', async () => {
    const outcome = await run('serverBreaksOff', [], LARGE_RINGS);
    expect(outcome.result).toBe('ECONNRESET');
    expect(outcome.told).toEqual(['closed before the end']);
    expect(outcome.client.bytesShm).toBeGreaterThanOrEqual(400_000);
  });

  test('tells the server of a request that the client breaks off', async () => {
    const outcome = await run('clientBreaksOff', [], LARGE_RINGS);
    expect(outcome.told.toSorted()).toEqual(['ECONNRESET', 'closed before the end']);
    expect(outcome.server.bytesShm).toBeGreaterThanOrEqual(400_000);
  });
});

test('a connection that switched while in the clear goes on in TLS', async () => {
  const env = { ...certificates, ...LARGE_RINGS };
  const outcome = await runPair('starttls-server', 'starttls-client', 'starttls', { env });
  expect(outcome.result).toEqual({ plain: 'shm', secure: 'shm', isAuthorized: true });
  expect(outcome.told).toEqual([{ plain: 'shm' }, { secure: 'shm' }]);
  expectSwitched(outcome);
  expectCarried(outcome, 6_000_000);
});
