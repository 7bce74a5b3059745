import { describe, expect, test } from 'vitest';
import { isRoot, ONE, ROOT, useMembers } from './members.js';

const members = useMembers();
const { member, owned } = members;

const SAME = ['first', 'first'];
const CHANGED = ['first', 'later'];
/** And nothing of it stays mapped. */
const UNTRUSTED = { code: 'ERR_SHMLOOP_UNTRUSTED', maps: '0' };
const TRUSTED = { trusted: true };

/** What another process sees of memory, before and after its owner changes it. */
async function looks(owner: number, viewer: number, kind: string, by: string, how?: object): Promise<unknown> {
  owned(owner);
  const [lender, borrower] = await Promise.all([member(owner), member(viewer)]);
  const options = { directory: members.directory, allow: { uids: [owner, viewer] } };
  expect(await lender.does('lend', { name: 'name', options, kind })).toBe('done');
  return borrower.does('look', { name: 'name', options: borrower.expecting(owner), by, how });
}

describe.runIf(isRoot).each([
  [ROOT, ONE],
  [ONE, ROOT],
])('memory of uid %i’s, to uid %i', (owner, viewer) => {
  test.each([
    ['owner', undefined, UNTRUSTED],
    ['peers', undefined, UNTRUSTED],
    ['immutable', undefined, SAME],
    ['owner', TRUSTED, CHANGED],
    ['peers', TRUSTED, CHANGED],
  ])('is mapped if it cannot change, or is trusted: writable by %s, %j', async (kind, how, seen) => {
    expect(await looks(owner, viewer, kind, 'map', how)).toEqual(seen);
  });

  test.each([
    ['owner', 'regions', undefined, SAME],
    ['owner', 'regions', TRUSTED, CHANGED],
    ['immutable', 'regions', undefined, SAME],
    ['owner', 'message', undefined, SAME],
  ])('that is sent is a copy unless it is trusted: writable by %s, by %s, %j', async (kind, by, how, seen) => {
    expect(await looks(owner, viewer, kind, by, how)).toEqual(seen);
  });
});

describe.runIf(isRoot).each([ROOT, ONE])('memory of uid %i’s, to the same', (uid) => {
  test.each(['map', 'regions'])('is seen as it changes: by %s', async (by) => {
    expect(await looks(uid, uid, 'owner', by)).toEqual(CHANGED);
  });
});
