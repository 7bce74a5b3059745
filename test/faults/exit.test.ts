import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { useSandbox } from './support.js';

const sandbox = useSandbox();
/** How a process leaves, and how many messages it has sent by then. */
const WAYS: [how: string, sent: number][] = [
  ['exit', 100],
  ['exit later', 101],
  ['exit in a handler', 101],
  ['exit listener', 101],
  ['error', 100],
  ['error in a handler', 101],
  ['error in consume', 101],
  ['rejection', 100],
  ['SIGTERM', 100],
];

for (const side of ['bind', 'connect']) {
  test.each(WAYS)(
    `a process which ${side}s leaves by %s: all that it sent is delivered, then ECONNRESET`,
    async (how, sent) => {
      const peer = sandbox.start('counting-peer', { name: 'left', side: side === 'bind' ? 'connect' : 'bind' });
      await peer.next('bound');
      const leaving = sandbox.start('leaving', { name: 'left', side, how });
      expect(await peer.next('closed')).toEqual({ kind: 'closed', code: 'ECONNRESET', next: sent });
      await leaving.exited;
      if (side !== 'bind' || how === 'SIGTERM') return;
      const directory = join(sandbox.directory, 'shmloop');
      expect(existsSync(directory) ? readdirSync(directory) : []).toEqual([]);
    },
  );
}
