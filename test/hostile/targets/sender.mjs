// What a channel writes into a ring whose reader lies about what it has read.
import { TYPE } from '../../../dist/channel/framing.js';
import { Sender } from '../../../dist/channel/sender.js';
import { Peer, Rings } from '../checked-ring.mjs';

const rings = new Rings();
const bytes = Buffer.alloc(70_000, 'x');

export function play(random) {
  const ring = rings.writer(random);
  const peer = new Peer(random, ring);
  let failed;
  const sender = new Sender(ring.writer, (error) => {
    failed = error;
  });
  for (let turn = 0; turn < 20 && failed === undefined; turn++) {
    try {
      const length = random.chance(90) ? random.below(1500) : random.below(bytes.length);
      sender.send(TYPE.message, random.below(9), bytes.subarray(0, length));
      if (random.chance(93)) peer.room();
      else peer.control();
      if (random.chance(30)) peer.data();
      sender.publish();
      sender.flush();
      if (random.chance(20)) sender.hasUnread();
      if (random.chance(20)) sender.park('event');
    } catch (error) {
      failed = error;
    }
  }
  if (failed !== undefined && failed.code !== 'ERR_SHMLOOP_PROTOCOL') throw failed;
  return peer.mutations;
}
