// What a switched TCP connection writes into a ring whose reader lies, stays away, or leaves.
import assert from 'node:assert/strict';
import { Outgoing } from '../../../dist/net/outgoing.js';
import { Peer, Rings } from '../checked-ring.mjs';

const rings = new Rings();
const bytes = Buffer.alloc(20_000, 'x');

export function play(random) {
  const ring = rings.writer(random);
  const peer = new Peer(random, ring);
  let most = 0;
  let given = 0;
  const owner = {
    written: () => 0,
    queued: () => 0,
    isTcpClosed: () => false,
    writeTcp(parts) {
      most += parts.reduce((sum, part) => sum + part.length, 0);
    },
    completed: () => undefined,
    waitingChanged: () => undefined,
    pollSoon: () => undefined,
    ranOutOfPatience: () => undefined,
  };
  const outgoing = new Outgoing(owner, ring.writer, ring.capacity);
  const attempt = (step) => {
    try {
      return step();
    } catch (error) {
      if (error.code !== 'ERR_SHMLOOP_PROTOCOL') throw error;
      return undefined;
    }
  };
  let isWaiting = false;
  attempt(() => {
    outgoing.confirm();
    outgoing.allow();
    outgoing.enter();
    for (let turn = 0; turn < 12; turn++) {
      if (random.chance(93)) peer.room();
      else peer.control();
      if (random.chance(30)) peer.data();
      if (!isWaiting && outgoing.enter()) {
        const length = 1 + random.below(random.chance(80) ? 600 : bytes.length);
        given += length;
        isWaiting = !outgoing.write({}, [bytes.subarray(0, length)], length);
      } else if (isWaiting && random.chance(30)) {
        outgoing.overflow();
        isWaiting = false;
      }
      if (random.chance(50) && outgoing.advance()) isWaiting = false;
      if (random.chance(20)) outgoing.arm();
      if (random.chance(10)) {
        outgoing.abandonIfLeft();
      }
    }
  });
  attempt(() => (random.chance(50) ? outgoing.abandon() : outgoing.leave()));
  attempt(() => outgoing.close());
  // What goes over TCP instead is what was written, once.
  assert.ok(most <= given, `${most} bytes over TCP of ${given}`);
  return peer.mutations;
}
