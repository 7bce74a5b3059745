import { describe, expect } from 'vitest';
import { freePort, isRoot, onTcp, type Program, type Start, shared, test } from './support.js';

const SQUATTER = new URL('fixtures/squatter.mjs', import.meta.url);
const NOBODY = 65_533;

interface Case {
  manner: string;
  uid?: number;
  /** The most that it does to a connection that nobody else has a name for. */
  reason: string;
}

const cases: Case[] = [
  { manner: 'deaf', reason: 'peer' },
  { manner: 'silent', reason: 'peer' },
  { manner: 'garbage', reason: 'peer' },
  { manner: 'closes', reason: 'peer' },
];
const foreign: Case = { manner: 'silent', uid: NOBODY, reason: 'rejected' };

/** Somebody has the first name of a port before its server, and then its client, come. */
async function beset(start: Start, { manner, uid }: Case, options: { preload: boolean }) {
  const port = await freePort();
  const squatter = await start({ program: SQUATTER, preload: false, ...(uid === undefined ? {} : { uid }) });
  await squatter.call('squat', port, manner);
  const server = await start(options);
  await server.call('listen', { port });
  const client = await start();
  const key = await client.call('connect', { port });
  return { port, squatter, server, client, key };
}

async function switches(start: Start, squat: Case): Promise<{ client: Program; port: number }> {
  const { server, client, key, port, squatter } = await beset(start, squat, { preload: true });
  await client.call('switched', key);
  expect(await client.call('talk', key, { length: 20_000 })).toEqual(shared(server.pid));
  expect(await server.call('accepted')).toEqual([{ transport: 'shm' }]);
  if (squat.manner !== 'deaf') expect(await squatter.call('visitors')).toBeGreaterThan(0);
  return { client, port };
}

async function staysOnTcp(start: Start, squat: Case): Promise<void> {
  const { server, client, key } = await beset(start, squat, { preload: false });
  expect(await client.call('settle', key)).toEqual(onTcp(squat.reason, server.pid));
  expect(await client.call('talk', key, { length: 20_000 })).toEqual(onTcp(squat.reason, server.pid));
}

describe.concurrent('a squatter on the name of a port', () => {
  test.for(cases)('that is $manner: the connection switches with the server, by its next name', (squat, { start }) =>
    switches(start, squat).then(() => undefined),
  );

  test.for(cases)('that is $manner: with a server that has no drop-in all stays on TCP', (squat, { start }) =>
    staysOnTcp(start, squat),
  );

  test.skipIf(!isRoot)(
    'of another user: it is rejected, and the connection switches with the server',
    async ({ start }) => {
      const { client, port } = await switches(start, foreign);
      const event = { name: 'peer-rejected', port, code: 'ERR_SHMLOOP_PEER_REJECTED' };
      expect(await client.call('events')).toContainEqual(event);
    },
  );

  test.skipIf(!isRoot)('of another user, before a server without the drop-in: all stays on TCP', ({ start }) =>
    staysOnTcp(start, foreign),
  );
});
