import { execFileSync } from 'node:child_process';
import { describe, expect } from 'vitest';
import {
  canRun,
  canUnshare,
  isRoot,
  NAMESPACE,
  onTcp,
  type Program,
  type ProgramOptions,
  type Start,
  shared,
  test,
} from './support.js';

const NOBODY = 65_533;
const TALK = { rounds: 10, length: 20_000 };
const ON = { SHMLOOP_CHALLENGE: 'on' };
const canSplitNet = canUnshare(NAMESPACE.net) && canRun('nsenter', '--version') && canRun('ip', '-V');

interface Pair {
  server: Program;
  client: Program;
  key: number;
}

async function join(start: Start, server: ProgramOptions, client: ProgramOptions): Promise<Pair> {
  const [one, other] = await Promise.all([start(server), start(client)]);
  return { server: one, client: other, key: await other.call('connect', { port: await one.call('listen') }) };
}

async function expectTcp({ server, client, key }: Pair, reason: string, answer = 'unasked'): Promise<void> {
  expect(await client.call('settle', key)).toEqual(onTcp(reason, server.pid));
  expect(await client.call('talk', key, TALK)).toEqual(onTcp(reason, server.pid));
  expect(await client.call('events')).toContainEqual({ name: 'fallback', reason });
  expect(await server.call('accepted')).toEqual([{ transport: 'tcp', reason: answer }]);
}

async function expectShared({ server, client, key }: Pair): Promise<void> {
  await client.call('switched', key);
  expect(await client.call('talk', key, TALK)).toEqual(shared(server.pid));
  expect(await server.call('accepted')).toEqual([{ transport: 'shm' }]);
}

describe.skipIf(!isRoot)('another user', { concurrent: true }, () => {
  test('who connects is rejected', async ({ start }) => {
    await expectTcp(await join(start, {}, { uid: NOBODY }), 'rejected');
  });

  test('who accepts is rejected', async ({ start }) => {
    const pair = await join(start, { uid: NOBODY }, {});
    await expectTcp(pair, 'rejected');
    const codes = (await pair.client.call('events')).map(({ code }: { code?: string }) => code);
    expect(codes).toContain('ERR_SHMLOOP_PEER_REJECTED');
  });
});

describe.skipIf(!canUnshare(NAMESPACE.user))(
  'a user namespace without a map: its user is nobody',
  { concurrent: true },
  () => {
    const wrap = NAMESPACE.user;

    test('who connects from there rejects who accepts', async ({ start }) => {
      await expectTcp(await join(start, {}, { wrap }), 'rejected');
    });

    test('who accepts there hangs up', async ({ start }) => {
      await expectTcp(await join(start, { wrap }, {}), 'peer');
    });

    test('two there are not the same user', async ({ start }) => {
      await expectTcp(await join(start, { wrap }, { wrap }), 'rejected');
    });
  },
);

describe.skipIf(!canUnshare(NAMESPACE.pid))('another pid namespace', { concurrent: true }, () => {
  const wrap = NAMESPACE.pid;

  test('who accepts does not see who connects there, and declines', async ({ start }) => {
    await expectTcp(await join(start, { wrap }, {}), 'declined');
  });

  test('who connects from there does not see who accepts', async ({ start }) => {
    await expectTcp(await join(start, {}, { wrap }), 'identity');
  });

  test('two of them do not see each other', async ({ start }) => {
    await expectTcp(await join(start, { wrap }, { wrap }), 'declined');
  });

  test.for([
    ['server', { wrap, env: ON }, { env: ON }],
    ['client', { env: ON }, { wrap, env: ON }],
    ['each', { wrap, env: ON }, { wrap, env: ON }],
  ] as const)('of the %s, with the challenge on at both ends: it switches', async ([, server, client], { start }) => {
    await expectShared(await join(start, server as ProgramOptions, client as ProgramOptions));
  });

  test.for([
    ['server', { wrap, env: ON }, {}, 'declined'],
    ['client', { wrap }, { env: ON }, 'declined'],
  ] as const)(
    'with the challenge on at the %s alone: it stays on TCP',
    async ([, server, client, reason], { start }) => {
      await expectTcp(await join(start, server as ProgramOptions, client as ProgramOptions), reason);
    },
  );
});

describe.skipIf(!canSplitNet)('another network namespace', () => {
  test('is not this host by its address, and TCP goes on', async ({ start }) => {
    const server = await start({ wrap: NAMESPACE.net });
    const name = `sl${server.pid}`;
    const there = (...args: string[]) => execFileSync('nsenter', ['-t', String(server.pid), '-n', 'ip', ...args]);
    const here = (...args: string[]) => execFileSync('ip', args);
    here('link', 'add', name, 'type', 'veth', 'peer', 'name', 'there', 'netns', String(server.pid));
    // The pair goes with the namespace, and so with the server.
    here('addr', 'add', '10.213.77.1/30', 'dev', name);
    here('link', 'set', name, 'up');
    there('addr', 'add', '10.213.77.2/30', 'dev', 'there');
    there('link', 'set', 'there', 'up');
    const port = await server.call('listen', { host: '10.213.77.2' });
    const client = await start();
    const key = await client.call('connect', { port, host: '10.213.77.2' });
    const state = await client.call('talk', key, TALK);
    expect(state).toEqual(onTcp('address', server.pid));
    expect(await server.call('accepted')).toEqual([{ transport: 'tcp', reason: 'address' }]);
  });
});
