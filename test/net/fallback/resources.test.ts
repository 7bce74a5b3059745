import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import { canRun, onTcp, type Program, type Start, shared, test } from '../identity/support.js';

const LIMITS = { acts: new URL('fixtures/limits.mjs', import.meta.url).href };
const NO_MEMFD = fileURLToPath(new URL('fixtures/no-memfd.c', import.meta.url));
const FEW = ['sh', '-c', 'ulimit -n 256 && exec "$@"', 'sh'];
const AUTO = { SHMLOOP_UPGRADE: 'auto' };
const TALK = { rounds: 10, length: 50_000 };
/** Two writes each: not worth a switch yet. */
const LITTLE = { rounds: 3, length: 200 };

/** Two programs with a connection that is about to propose, and perhaps one before that has switched. */
async function aboutToSwitch(start: Start, { isLinked = false } = {}) {
  const options = { wrap: FEW, env: AUTO, config: LIMITS };
  const [server, client] = await Promise.all([start(options), start(options)]);
  const port = await server.call('listen');
  if (isLinked) await client.call('switched', await client.call('connect', { port }));
  const key = await client.call('connect', { port });
  await client.call('talk', key, LITTLE);
  return { server, client, key };
}

async function expectTcp(client: Program, server: Program, key: number, reason: string): Promise<void> {
  expect(await client.call('settle', key)).toEqual(onTcp(reason, server.pid));
  expect(await client.call('talk', key, TALK)).toMatchObject({ pids: [server.pid], isShared: false });
}

async function expectSwitch(client: Program, server: Program, key: number): Promise<void> {
  await client.call('switched', key);
  expect(await client.call('talk', key, TALK)).toEqual(shared(server.pid));
}

describe.concurrent('a connection that is to switch when a process has no descriptors left stays on TCP,', () => {
  test('if it is who connected; and switches when there are some', async ({ start }) => {
    const { server, client, key } = await aboutToSwitch(start);
    expect(await client.call('takeDescriptors')).toEqual({ code: 'EMFILE' });
    await expectTcp(client, server, key, 'descriptors');
    await client.call('giveDescriptors');
    await expectSwitch(client, server, key);
  });

  test('if it is who connected, and has a link', async ({ start }) => {
    const { server, client, key } = await aboutToSwitch(start, { isLinked: true });
    expect(await client.call('takeDescriptors')).toEqual({ code: 'EMFILE' });
    await expectTcp(client, server, key, 'descriptors');
    expect(await client.call('talk', 0, TALK)).toEqual(shared(server.pid));
    await client.call('giveDescriptors');
    await expectSwitch(client, server, key);
  });

  test('if it is who accepted', async ({ start }) => {
    const { server, client, key } = await aboutToSwitch(start);
    expect(await server.call('takeDescriptors')).toEqual({ code: 'EMFILE' });
    await expectTcp(client, server, key, 'peer');
    await server.call('giveDescriptors');
    await expectSwitch(client, server, key);
  });

  test('if it is who accepted, and has a link', async ({ start }) => {
    const { server, client, key } = await aboutToSwitch(start, { isLinked: true });
    expect(await server.call('takeDescriptors')).toEqual({ code: 'EMFILE' });
    await expectTcp(client, server, key, 'declined');
    expect(await client.call('talk', 0, TALK)).toEqual(shared(server.pid));
    await server.call('giveDescriptors');
    await expectSwitch(client, server, key);
  });
});

describe('a connection that is to switch when a process has no mappings left stays on TCP,', () => {
  test('if it is who connected; and switches when there are some', async ({ start }) => {
    const { server, client, key } = await aboutToSwitch(start, { isLinked: true });
    expect(await client.call('takeMappings')).toEqual({ code: 'ENOMEM' });
    await expectTcp(client, server, key, 'memory');
    expect(await client.call('talk', 0, TALK)).toEqual(shared(server.pid));
    await client.call('giveMappings');
    await expectSwitch(client, server, key);
  });

  test('if it is who accepted, and so has no link; and switches when there are some', async ({ start }) => {
    const { server, client, key } = await aboutToSwitch(start);
    expect(await server.call('takeMappings')).toEqual({ code: 'ENOMEM' });
    await expectTcp(client, server, key, 'peer');
    await server.call('giveMappings');
    await expectSwitch(client, server, key);
  });
});

describe.skipIf(!canRun('gcc', '--version'))('where seccomp forbids memfd_create connections stay on TCP,', () => {
  test.for([
    ['ENOSYS', 'client', 'memory'],
    ['EPERM', 'client', 'memory'],
    ['ENOSYS', 'server', 'peer'],
  ] as const)('%s, at the %s', async ([code, who, reason], { start, directory }) => {
    const launcher = `${directory}/no-memfd`;
    expect(canRun('gcc', '-o', launcher, NO_MEMFD)).toBe(true);
    const poor = { wrap: [launcher, String(constants.errno[code])] };
    const server = await start(who === 'server' ? poor : {});
    const client = await start(who === 'client' ? poor : {});
    const key = await client.call('connect', { port: await server.call('listen') });
    await expectTcp(client, server, key, reason);
    expect(await server.call('accepted')).toEqual([{ transport: 'tcp', reason: 'unasked' }]);
  });
});

const PERMISSION = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission';

describe.concurrent('a program whose Node does not give what it takes works on TCP:', () => {
  test.for([
    ['the permission model', [PERMISSION, '--allow-fs-read=*', '--allow-fs-write=*'], 'permission'],
    ['no process.binding', ['--require', './test/net/fallback/fixtures/no-binding.cjs'], 'internals'],
    ['unknown TCP handles', ['--require', './test/net/fallback/fixtures/other-tcp.cjs'], 'internals'],
    ['no addons', ['--no-addons'], 'permission'],
  ] as const)('%s', async ([, node, reason], { start }) => {
    const [poor, server, client] = await Promise.all([start({ node: [...node] }), start(), start()]);
    const key = await poor.call('connect', { port: await server.call('listen') });
    await expectTcp(poor, server, key, reason);
    const back = await client.call('connect', { port: await poor.call('listen') });
    await expectTcp(client, poor, back, 'peer');
    expect(await poor.call('accepted')).toEqual([{ transport: 'tcp', reason }]);
  });
});
