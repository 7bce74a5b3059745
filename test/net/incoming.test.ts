import { expect, test, vi } from 'vitest';
import { PAGE } from '../../src/layout.js';
import { TYPE } from '../../src/net/frames.js';
import { Incoming } from '../../src/net/incoming.js';
import { UV_ECONNRESET, UV_EOF } from '../../src/net/internals.js';
import { makeRing } from '../support/ring.js';

/** A direction whose TCP has ended, after what the peer said in the ring. */
function ended({ hasSaidSo, isGone, isUnread, isCut }: Record<'hasSaidSo' | 'isGone' | 'isUnread' | 'isCut', boolean>) {
  const { reader, writer } = makeRing(PAGE);
  const deliverEnd = vi.fn();
  const incoming = new Incoming(
    {
      room: (length) => Buffer.alloc(length),
      deliver: () => undefined,
      deliverEnd,
      peerConfirmed: () => undefined,
      readTcp: () => undefined,
      broken: (error) => {
        throw error;
      },
      isUnreadByPeer: () => isUnread,
      isWriteCut: () => isCut,
    },
    reader,
    0,
  );
  for (const type of hasSaidSo ? [TYPE.go, TYPE.end] : [TYPE.go]) {
    writer.fillHeader(type, 0);
    writer.advance(8);
  }
  writer.publish();
  incoming.start();
  incoming.tcpEnded(UV_EOF);
  if (isGone) incoming.peerGone();
  incoming.poll();
  return deliverEnd.mock.calls.flat();
}

test('the end is one where the peer said so, whatever it has not read yet', () => {
  expect(ended({ hasSaidSo: true, isGone: false, isUnread: true, isCut: true })).toEqual([UV_EOF]);
  expect(ended({ hasSaidSo: true, isGone: true, isUnread: true, isCut: false })).toEqual([UV_EOF]);
});

test('the end is a reset where the peer is gone with a part of one write unread, although it said that it had ended', () => {
  expect(ended({ hasSaidSo: true, isGone: true, isUnread: true, isCut: true })).toEqual([UV_ECONNRESET]);
});

test('the end is a reset where the peer is gone with anything unread, and did not say that it had ended', () => {
  expect(ended({ hasSaidSo: false, isGone: true, isUnread: true, isCut: false })).toEqual([UV_ECONNRESET]);
  expect(ended({ hasSaidSo: false, isGone: true, isUnread: false, isCut: false })).toEqual([UV_EOF]);
});
