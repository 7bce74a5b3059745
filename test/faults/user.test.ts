import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { useSandbox } from './support.js';

const sandbox = useSandbox();
const isRoot = process.geteuid?.() === 0;
/** Somebody else; 65534 is what the kernel says of a user whom this namespace does not know. */
const OTHERS = [12_345, 65_534];

describe.runIf(isRoot)('another user', () => {
  test.each(OTHERS)('cannot reach a name in a runtime directory that is not theirs (uid %i)', async (uid) => {
    const server = sandbox.start('counting-peer', { name: 'theirs' });
    await server.next('bound');
    expect(await sandbox.run('other-user', { does: 'connect' }, { uid })).toMatchObject({
      code: 'ERR_SHMLOOP_RUNTIME_DIRECTORY',
    });
    expect(await sandbox.run('other-user', { does: 'connect raw' }, { uid })).toMatchObject({ code: 'EACCES' });
  });

  test.each(OTHERS)(
    'is told that it is rejected, and nothing else, when the directory is opened up by force (uid %i)',
    async (uid) => {
      const server = sandbox.start('counting-peer', { name: 'theirs' });
      await server.next('bound');
      openUp();
      expect(await sandbox.run('other-user', { does: 'connect raw' }, { uid })).toEqual({
        kind: 'report',
        answers: ['rejected: credentials'],
      });
      // The library refuses such a directory on its own side.
      expect(await sandbox.run('plain-client', { name: 'theirs' })).toMatchObject({
        code: 'ERR_SHMLOOP_RUNTIME_DIRECTORY',
      });
      chmodSync(join(sandbox.directory, 'shmloop'), 0o700);
      expect(await sandbox.run('plain-client', { name: 'theirs' })).toMatchObject({ reply: 'hello' });
    },
  );

  test.each(OTHERS)('who squats a name gets nothing from who connects to it (uid %i)', async (uid) => {
    mkdirSync(join(sandbox.directory, 'shmloop'), { mode: 0o777 });
    chmodSync(sandbox.directory, 0o777);
    chmodSync(join(sandbox.directory, 'shmloop'), 0o777);
    const squatter = sandbox.start('other-user', { does: 'bind raw' }, { uid });
    await squatter.next('bound');
    chmodSync(join(sandbox.directory, 'shmloop'), 0o700);
    expect(await sandbox.run('plain-client', { name: 'theirs' })).toEqual({
      kind: 'report',
      code: 'ERR_SHMLOOP_PEER_REJECTED',
    });
    expect(await squatter.next('report')).toEqual({ kind: 'report', messages: [] });
  });

  test('cannot bind in a runtime directory that is not theirs, nor can we in theirs', async () => {
    const [uid] = OTHERS as [number];
    mkdirSync(join(sandbox.directory, 'shmloop'), { mode: 0o700 });
    expect(await sandbox.run('other-user', { does: 'bind' }, { uid })).toMatchObject({
      code: 'ERR_SHMLOOP_RUNTIME_DIRECTORY',
    });
    chownSync(join(sandbox.directory, 'shmloop'), uid, uid);
    expect(await sandbox.run('other-user', { does: 'bind' })).toMatchObject({ code: 'ERR_SHMLOOP_RUNTIME_DIRECTORY' });
  });
});

function openUp() {
  chmodSync(sandbox.directory, 0o777);
  chmodSync(join(sandbox.directory, 'shmloop'), 0o777);
  chmodSync(join(sandbox.directory, 'shmloop', 'theirs'), 0o777);
}
