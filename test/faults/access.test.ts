import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { canUnshare, NAMESPACE } from '../net/identity/support.js';
import { isRoot, ONE, OTHER, REJECTED, ROOT, UNUSABLE, useMembers } from './members.js';

const GROUP = 777;
/** What a pod's containers have of their own. */
const CONTAINER = ['unshare', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];

const members = useMembers();
const { member, owned } = members;

describe.runIf(isRoot)('a name that another user is allowed to connect to', () => {
  test('is reached, and each end knows who the other is', async () => {
    const [server, client] = await Promise.all([member(), member(ONE)]);
    expect(await server.binds('name', { uids: [ONE] })).toBe('done');
    expect(await client.connects('name', ROOT)).toEqual({
      reply: `hello of ${ONE}:${ONE}:${client.pid}`,
      peer: { pid: server.pid, uid: ROOT, gid: ROOT },
    });
  });

  test('is reached the other way about: root is a client as others are', async () => {
    owned(ONE);
    const [server, client] = await Promise.all([member(ONE), member()]);
    expect(await server.binds('name', { uids: [ROOT] })).toBe('done');
    expect(await client.connects('name', ONE)).toMatchObject({ peer: { pid: server.pid, uid: ONE, gid: ONE } });
    expect(statSync(members.at('name')).mode & 0o777).toBe(0o666);
  });

  test('refuses a third, and whoever else is not listed, its own user too', async () => {
    const [server, third, own] = await Promise.all([member(), member(OTHER), member()]);
    await server.binds('name', { uids: [ONE] });
    expect(await third.connects('name', ROOT)).toEqual(REJECTED);
    expect(await own.connects('name')).toEqual(REJECTED);
  });

  test('is for a group by its effective or a supplementary gid', async () => {
    const server = await member();
    await server.binds('name', { gids: [GROUP] });
    const [primary, more, none] = await Promise.all([
      member(ONE, { gid: GROUP }),
      member(OTHER, { groups: [5, GROUP, 6] }),
      member(ONE, { groups: [5, 6] }),
    ]);
    expect(await primary.connects('name', ROOT)).toMatchObject({ peer: { uid: ROOT } });
    expect(await more.connects('name', ROOT)).toMatchObject({ peer: { uid: ROOT } });
    expect(await none.connects('name', ROOT)).toEqual(REJECTED);
  });

  test('is for a process, and not for another of the same user', async () => {
    const [server, one, other] = await Promise.all([member(), member(), member()]);
    await server.binds('name', { pids: [one.pid] });
    expect(await one.connects('name')).toMatchObject({ peer: { pid: server.pid } });
    expect(await other.connects('name')).toEqual(REJECTED);
  });

  test('waits for who may connect, as others do', async () => {
    const [server, client] = await Promise.all([member(), member(ONE)]);
    const waiting = client.does('connect', { name: 'name', options: { ...client.expecting(ROOT), wait: true } });
    await server.binds('name', { uids: [ONE] });
    expect(await waiting).toMatchObject({ peer: { uid: ROOT } });
  });

  test('does not make views of the ring safe: consume takes a word of trust', async () => {
    const [server, client] = await Promise.all([member(), member(ONE)]);
    await server.binds('name', { uids: [ONE] });
    const consume = (how?: object) => client.does('consume', { name: 'name', options: client.expecting(ROOT), how });
    expect(await consume()).toEqual(REJECTED);
    expect(await consume({ trusted: true })).toBe('done');
  });
});

describe.runIf(isRoot)('a check', () => {
  test.each([
    ['yes', true],
    ['later', true],
    ['by uid', true],
    ['no', false],
    ['truthy', false],
    ['not later', false],
    ['throws', false],
    ['rejects', false],
    ['never', false],
  ])('that says %s: the peer is let in: %s', async (check, isLetIn) => {
    const [server, client] = await Promise.all([member(), member(ONE)]);
    await server.binds('name', undefined, check);
    const outcome = await client.connects('name', ROOT);
    expect(outcome).toEqual(isLetIn ? expect.objectContaining({ peer: expect.anything() }) : REJECTED);
  });

  test('is not asked about who is in none of the lists', async () => {
    const [server, client] = await Promise.all([member(), member(ONE)]);
    await server.binds('name', { uids: [OTHER] }, 'yes');
    expect(await client.connects('name', ROOT)).toEqual(REJECTED);
  });
});

describe.runIf(isRoot)('another user', () => {
  test('who is not allowed gets a name of a shared directory refused by its mode', async () => {
    const [server, client] = await Promise.all([member(), member(ONE)]);
    await server.binds('name');
    expect(statSync(members.at('name')).mode & 0o777).toBe(0o600);
    expect(await client.connects('name', ROOT)).toEqual(REJECTED);
  });

  test('whom modes do not hold is refused by the server', async () => {
    owned(ONE);
    const [server, root] = await Promise.all([member(ONE), member()]);
    await server.binds('name');
    expect(await root.connects('name', ONE)).toEqual(REJECTED);
  });

  test('who may open one name may open no other on the same link, nor learn which there are', async () => {
    const [server, client] = await Promise.all([member(), member(ONE)]);
    await server.binds('name', { uids: [ONE] });
    await server.binds('private');
    await server.binds('checked', undefined, 'no');
    await server.does('gossip');
    const names = ['name', 'private', 'unbound', 'checked', 'name'];
    const answers = ['open', 'credentials', 'credentials', 'credentials', 'open'];
    expect(await client.does('open raw', { at: members.at('name'), names })).toEqual(answers);
    expect(await server.does('heard')).toEqual([]);
  });

  test('who is connected to may open no name of the client in its turn', async () => {
    owned(ONE);
    const [server, client] = await Promise.all([member(ONE), member()]);
    await server.does('squat raw', { at: members.at('name') });
    await client.does('bind', { name: 'private' });
    const connecting = client.connects('name', ONE);
    expect(await server.does('turn raw', { names: ['private', 'unbound'] })).toEqual(['credentials', 'credentials']);
    expect(await connecting).toMatchObject({ code: expect.any(String) });
  });

  test.each([
    [undefined, REJECTED],
    [OTHER, UNUSABLE],
  ])('who squats a name is told nothing by a client that expects uid %s', async (uid, refusal) => {
    const [squatter, client] = await Promise.all([member(ONE), member()]);
    if (uid === undefined) {
      chmodSync(members.directory, 0o777);
      await squatter.does('squat raw', { at: members.at('name') });
      chmodSync(members.directory, 0o755);
      const told = squatter.does('squatted raw');
      expect(await client.connects('name', uid)).toEqual(refusal);
      expect(await told).toEqual([]);
    } else {
      owned(ONE);
      await squatter.does('squat raw', { at: members.at('name') });
      expect(await client.connects('name', uid)).toEqual(refusal);
    }
  });

  test('is told apart on a link that there is already', async () => {
    const [server, client] = await Promise.all([member(), member()]);
    await server.binds('name', { uids: [ROOT] });
    expect(await client.connects('name')).toMatchObject({ peer: { uid: ROOT } });
    expect(await client.connects('name', ONE)).toEqual(REJECTED);
    expect(await client.connects('name')).toMatchObject({ peer: { uid: ROOT } });
  });

  test('who may read the directory cannot lock it against who binds', async () => {
    const [server, other] = await Promise.all([member(), member(ONE)]);
    expect(await other.does('lock', { at: members.directory })).toBe(true);
    expect(await server.binds('name', { uids: [ONE] })).toBe('done');
    expect(await other.does('lock', { at: members.at('.lock') })).toEqual({ code: 'EACCES' });
    expect(await other.connects('name', ROOT)).toMatchObject({ peer: { uid: ROOT } });
  });
});

describe.runIf(isRoot)('a directory for others', () => {
  test.each([
    ['belongs to another', () => owned(ONE)],
    ['is writable by its group', () => chmodSync(members.directory, 0o775)],
    ['is writable by others, sticky or not', () => chmodSync(members.directory, 0o1777)],
  ])('that %s is refused at both ends', async (_, spoil) => {
    const one = await member();
    spoil();
    expect(await one.binds('name', { uids: [ONE] })).toEqual(UNUSABLE);
    expect(await one.connects('name')).toEqual(UNUSABLE);
  });

  test('is refused when others could put another in its place', async () => {
    const one = await member();
    const inner = members.at('inner');
    mkdirSync(inner, { mode: 0o755 });
    const bind = () => one.does('bind', { name: 'name', options: { directory: inner } });
    chmodSync(members.directory, 0o777);
    expect(await bind()).toEqual(UNUSABLE);
    // In a sticky one they could not.
    chmodSync(members.directory, 0o1777);
    expect(await bind()).toBe('done');
  });
});

describe.runIf(isRoot && canUnshare(CONTAINER))('two containers that share a directory and nothing else', () => {
  const wrap = CONTAINER;

  test('connect as the same user, whose processes they do not see', async () => {
    const [server, client] = await Promise.all([member(undefined, {}, { wrap }), member(undefined, {}, { wrap })]);
    await server.binds('name');
    expect(await client.connects('name')).toEqual({
      reply: `hello of ${ROOT}:${ROOT}:0`,
      peer: { pid: 0, uid: ROOT, gid: ROOT },
    });
  });

  test('connect as two users where that is allowed, and not where it is not', async () => {
    const [server, one, other] = await Promise.all([
      member(undefined, {}, { wrap }),
      member(ONE, {}, { wrap }),
      member(OTHER, {}, { wrap }),
    ]);
    await server.binds('name', { uids: [ONE] });
    expect(await one.connects('name', ROOT)).toMatchObject({ peer: { uid: ROOT } });
    expect(await other.connects('name', ROOT)).toEqual(REJECTED);
    // Its own pid, but in its own namespace: the server sees none.
    await server.binds('by-pid', { pids: [one.pid] });
    expect(await one.connects('by-pid', ROOT)).toEqual(REJECTED);
  });

  test.runIf(canUnshare(NAMESPACE.user))('take whom their user namespace does not map for nobody', async () => {
    const [server, client] = await Promise.all([member(undefined, {}, { wrap: NAMESPACE.user }), member()]);
    expect(await server.binds('name', undefined, 'yes')).toBe('done');
    expect(await client.connects('name', ROOT)).toEqual(REJECTED);
  });
});
