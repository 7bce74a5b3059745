import { describe, expect } from 'vitest';
import { onTcp, type ProgramOptions, shared, summariesOf, test } from '../identity/support.js';

const TALK = { rounds: 10, length: 50_000 };

interface Case {
  name: string;
  server?: ProgramOptions;
  client?: ProgramOptions;
  /** Why each end says that it is on TCP. */
  atServer: string;
  atClient: string;
}

const env = (name: string, value: string): ProgramOptions => ({ env: { [name]: value } });

const cases: Case[] = [
  { name: 'SHMLOOP=off at the server', server: env('SHMLOOP', 'off'), atServer: 'off', atClient: 'peer' },
  { name: 'SHMLOOP=off at the client', client: env('SHMLOOP', 'off'), atServer: 'unasked', atClient: 'off' },
  {
    name: 'SHMLOOP_PORTS of the server excludes the port',
    server: env('SHMLOOP_PORTS', '!1024-65535'),
    atServer: 'port',
    atClient: 'peer',
  },
  {
    name: 'SHMLOOP_PORTS of the client excludes the port',
    client: env('SHMLOOP_PORTS', '1-1023'),
    atServer: 'unasked',
    atClient: 'port',
  },
  {
    name: 'SHMLOOP_MEMORY of the server has no room for a ring',
    server: env('SHMLOOP_MEMORY', '4095'),
    atServer: 'unasked',
    atClient: 'memory',
  },
  {
    name: 'SHMLOOP_MEMORY of the client has none',
    client: env('SHMLOOP_MEMORY', '4095'),
    atServer: 'unasked',
    atClient: 'memory',
  },
  {
    name: 'a setting of the server cannot be',
    server: env('SHMLOOP_RING_SIZE', '1000'),
    atServer: 'settings',
    atClient: 'peer',
  },
  {
    name: 'a setting of the client cannot be',
    client: env('SHMLOOP_UPGRADE', 'soon'),
    atServer: 'unasked',
    atClient: 'settings',
  },
];

describe.concurrent('stays on TCP, and loses no byte, where', () => {
  test.for(cases)('$name', async ({ server: at, client: from, atServer, atClient }, { start }) => {
    const [server, client] = await Promise.all([start(at), start(from)]);
    const key = await client.call('connect', { port: await server.call('listen') });
    expect(await client.call('settle', key)).toEqual(onTcp(atClient, server.pid));
    expect(await client.call('talk', key, TALK)).toEqual(onTcp(atClient, server.pid));
    expect(await server.call('accepted')).toEqual([{ transport: 'tcp', reason: atServer }]);
  });

  test('the server does not have the drop-in', async ({ start }) => {
    const [server, client] = await Promise.all([start({ preload: false }), start()]);
    const key = await client.call('connect', { port: await server.call('listen') });
    expect(await client.call('settle', key)).toEqual(onTcp('peer', server.pid));
    expect(await client.call('talk', key, TALK)).toEqual(onTcp('peer', server.pid));
    expect(await client.call('events')).toContainEqual({ name: 'fallback', reason: 'peer' });
  });

  test('the client does not have it', async ({ start }) => {
    const [server, client] = await Promise.all([start(), start({ preload: false })]);
    const key = await client.call('connect', { port: await server.call('listen') });
    expect(await client.call('talk', key, TALK)).toMatchObject({ isShared: false, pids: [server.pid] });
    expect(await server.call('accepted')).toEqual([{ transport: 'tcp', reason: 'unasked' }]);
  });
});

test('SHMLOOP_MEMORY has room for two rings: of three connections the third stays on TCP', async ({ start }) => {
  const [server, client] = await Promise.all([
    start({ env: { SHMLOOP_RING_SIZE: '4096', SHMLOOP_MEMORY: '8192' } }),
    start(),
  ]);
  const port = await server.call('listen');
  for (let i = 0; i < 2; i++) await client.call('switched', await client.call('connect', { port }));
  const third = await client.call('connect', { port });
  expect(await client.call('settle', third)).toEqual(onTcp('memory', server.pid));
  expect(await client.call('talk', 0, TALK)).toEqual(shared(server.pid));
  await client.call('finish', 0);
  await client.call('switched', third);
  expect(await client.call('talk', third, TALK)).toEqual(shared(server.pid));
});

test('SHMLOOP_MEMORY has room for two rings: of many connections at once the others are told so', async ({ start }) => {
  const [server, client] = await Promise.all([
    start({ env: { SHMLOOP_RING_SIZE: '4096', SHMLOOP_MEMORY: '8192' } }),
    start(),
  ]);
  const port = await server.call('listen');
  const keys = await Promise.all(Array.from({ length: 20 }, () => client.call('connect', { port })));
  const transports = await Promise.all(keys.map((key) => client.call('settle', key)));
  const reasons = transports.map(({ transport, reason }) => reason ?? transport);
  expect(reasons.filter((reason) => reason === 'memory')).toHaveLength(18);
});

test('when half of SHMLOOP_MEMORY is used rings are a sixteenth, and more connections switch', async ({ start }) => {
  const [server, client] = await Promise.all([
    start({ env: { SHMLOOP_RING_SIZE: '65536', SHMLOOP_MEMORY: '131072' } }),
    start(),
  ]);
  const port = await server.call('listen');
  for (let i = 0; i < 17; i++) await client.call('switched', await client.call('connect', { port }));
  const last = await client.call('connect', { port });
  expect(await client.call('settle', last)).toEqual(onTcp('memory', server.pid));
});

test('the summary names the reason', async ({ start, directory }) => {
  const file = `${directory}/summary`;
  const [server, client] = await Promise.all([start({ preload: false }), start({ env: { SHMLOOP_SUMMARY: file } })]);
  const key = await client.call('connect', { port: await server.call('listen') });
  await client.call('settle', key);
  await client.call('finish', key);
  client.process.disconnect();
  await client.exited;
  expect(summariesOf(file)).toEqual([
    expect.objectContaining({ pid: client.pid, switched: 0, tcp: 1, reasons: { peer: 1 }, bytesShm: 0 }),
  ]);
});
