import { expect, test } from 'vitest';
import { useSandbox } from './support.js';

const sandbox = useSandbox();

test('a server that breaks the protocol gives a coded error to who connects, and takes nothing', async () => {
  const report = await sandbox.run('hostile-server');
  expect(report).toMatchObject({ more: 0, filesLeft: [] });
  expect(report.outcomes).toEqual({
    'an older version': 'ERR_SHMLOOP_VERSION',
    'a newer version': 'ERR_SHMLOOP_VERSION',
    'our version, but it says that it is not its own': 'ERR_SHMLOOP_VERSION',
    'a hang-up at once': 'ERR_SHMLOOP_HANDSHAKE',
    'a hang-up after the hello': 'ERR_SHMLOOP_HANDSHAKE',
    'a few bytes of garbage': 'ERR_SHMLOOP_PROTOCOL',
    'garbage of the right length': 'ERR_SHMLOOP_PROTOCOL',
    'an oversized message': 'EMSGSIZE',
    'another message than due': 'ERR_SHMLOOP_HANDSHAKE',
    'a welcome without descriptors': 'ERR_SHMLOOP_HANDSHAKE',
    'a welcome with four': 'ERR_SHMLOOP_HANDSHAKE',
    'an unsealed region': 'ERR_SHMLOOP_REGION',
    'a region of another size': 'ERR_SHMLOOP_REGION',
    'a region as a doorbell': 'ERR_SHMLOOP_HANDSHAKE',
    'a refusal of nothing': 'ERR_SHMLOOP_PROTOCOL',
    'a reason out of range': 'ERR_SHMLOOP_PROTOCOL',
    'a hang-up in place of an answer': 'ECONNREFUSED',
    'an accept without a ring': 'ERR_SHMLOOP_PROTOCOL',
    'an accept with an unsealed ring': 'ERR_SHMLOOP_REGION',
    'a bad frame': 'ERR_SHMLOOP_PROTOCOL',
    'a bad control word': 'ERR_SHMLOOP_PROTOCOL',
    'a bad control word in the ring that it reads': 'ERR_SHMLOOP_PROTOCOL',
  });
});
