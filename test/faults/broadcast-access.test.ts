import { chmodSync, statSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isRoot, ONE, OTHER, REJECTED, ROOT, UNUSABLE, useMembers } from './members.js';

const members = useMembers();
const { member, owned } = members;

describe.runIf(isRoot)('what is published for another user', () => {
  test('reaches it, and each end knows who the other is', async () => {
    const [publisher, reader] = await Promise.all([member(), member(ONE)]);
    expect(await publisher.publishes('feed', { uids: [ONE] })).toBe('done');
    expect(await reader.subscribes('feed', ROOT)).toEqual({
      message: 'news of 0',
      peer: { pid: publisher.pid, uid: ROOT, gid: ROOT },
    });
    expect(await publisher.does('joined')).toEqual([{ pid: reader.pid, uid: ONE, gid: ONE }]);
  });

  test('reaches root as it does others', async () => {
    owned(ONE);
    const [publisher, reader] = await Promise.all([member(ONE), member()]);
    await publisher.publishes('feed', { uids: [ROOT] });
    expect(await reader.subscribes('feed', ONE)).toMatchObject({ message: `news of ${ONE}`, peer: { uid: ONE } });
    expect(statSync(members.at('feed')).mode & 0o777).toBe(0o666);
  });

  test('reaches nobody else, its own user neither', async () => {
    const [publisher, third, own] = await Promise.all([member(), member(OTHER), member()]);
    await publisher.publishes('feed', { uids: [ONE] });
    expect(await third.subscribes('feed', ROOT)).toEqual(REJECTED);
    expect(await own.subscribes('feed')).toEqual(REJECTED);
    expect(await publisher.does('joined')).toEqual([]);
  });

  test.each([
    ['later', { message: 'news of 0' }],
    ['not later', REJECTED],
  ])('waits for a check, which says yes or no: %s', async (check, outcome) => {
    const [publisher, reader] = await Promise.all([member(), member(ONE)]);
    await publisher.publishes('feed', { uids: [ONE] }, check);
    expect(await reader.subscribes('feed', ROOT)).toMatchObject(outcome);
  });

  test('is told apart from what it may connect to, on one link', async () => {
    const [publisher, client] = await Promise.all([member(), member(ONE)]);
    await publisher.binds('name', { uids: [ONE] });
    await publisher.publishes('feed');
    await publisher.publishes('checked', undefined, 'no');
    const names = ['name', 'feed/broadcast', 'checked/broadcast', 'unbound/broadcast'];
    const answers = ['open', 'credentials', 'credentials', 'credentials'];
    expect(await client.does('open raw', { at: members.at('name'), names })).toEqual(answers);
  });
});

describe.runIf(isRoot)('without a word about other users', () => {
  test('what is published is refused to them by its mode', async () => {
    const [publisher, reader] = await Promise.all([member(), member(ONE)]);
    await publisher.publishes('feed');
    expect(statSync(members.at('feed')).mode & 0o777).toBe(0o600);
    expect(await reader.subscribes('feed', ROOT)).toEqual(REJECTED);
  });

  test('whom modes do not hold is refused by the publisher', async () => {
    owned(ONE);
    const [publisher, root] = await Promise.all([member(ONE), member()]);
    await publisher.publishes('feed');
    expect(await root.subscribes('feed', ONE)).toEqual(REJECTED);
  });

  test('nobody subscribes to what another user publishes', async () => {
    owned(ONE);
    const [publisher, reader, wrong] = await Promise.all([member(ONE), member(), member()]);
    await publisher.publishes('feed', { uids: [ROOT] });
    expect(await reader.subscribes('feed')).toEqual(UNUSABLE);
    expect(await wrong.subscribes('feed', OTHER)).toEqual(UNUSABLE);
  });
});

describe.runIf(isRoot)('a subscription that expects another user', () => {
  test('tells a squatter nothing', async () => {
    const [squatter, reader] = await Promise.all([member(ONE), member()]);
    chmodSync(members.directory, 0o777);
    await squatter.does('squat raw', { at: members.at('feed') });
    chmodSync(members.directory, 0o755);
    const told = squatter.does('squatted raw');
    expect(await reader.subscribes('feed', ROOT)).toEqual(REJECTED);
    expect(await told).toEqual([]);
  });

  test('is refused on a link that there is already', async () => {
    const [publisher, reader] = await Promise.all([member(), member()]);
    await publisher.publishes('feed', { uids: [ROOT] });
    expect(await reader.subscribes('feed')).toMatchObject({ message: 'news of 0' });
    expect(await reader.subscribes('feed', ONE)).toEqual(REJECTED);
    expect(await reader.subscribes('feed', ROOT)).toMatchObject({ message: 'news of 0' });
  });
});
