// What a channel reads: the control word, the headers of frames, and large messages in parts.
import assert from 'node:assert/strict';
import { CARRIERS, LARGE_LENGTH, TYPE } from '../../../dist/channel/framing.js';
import { Receiver } from '../../../dist/channel/receiver.js';
import { MAX_PARTS_HEAD } from '../../../dist/layout.js';
import { Peer, Rings } from '../checked-ring.mjs';

const TYPES = Object.values(TYPE);
const FIXED = { [TYPE.large]: LARGE_LENGTH, [TYPE.end]: 0, [TYPE.cancel]: 0, [TYPE.release]: 0 };
/** Without data. */
const NOTICES = [TYPE.cancel, TYPE.release];
const LIMIT = 16_384;
const rings = new Rings();

/** @returns how much was changed */
export function play(random) {
  const ring = rings.reader(random);
  const peer = new Peer(random, ring);
  const unwanted = random.below(16);
  const sink = {
    accepts: (type) => type !== unwanted || random.chance(50),
    receive(type, id, data) {
      assert.ok(NOTICES.includes(type) || CARRIERS.includes(type), `a message of type ${type}`);
      const limit = type === TYPE.region ? LIMIT + MAX_PARTS_HEAD : LIMIT;
      assert.ok(data.length <= limit && id >= 0, `a message of ${data.length} bytes`);
      assert.notEqual(data.buffer, ring.own.region.memory, 'a message that the peer can change');
    },
    view: random.chance(20) ? (data) => assert.ok(data.length <= LIMIT) : undefined,
  };
  const receiver = new Receiver(ring.reader, sink, LIMIT);
  if (random.chance(30)) ring.reader.meanwhile = () => peer.scribble();
  for (let turn = 0; turn < 8; turn++) {
    for (let frames = random.below(12); frames > 0; frames--) if (!peer.frame(TYPES, 400, FIXED)) break;
    if (random.chance(15)) peer.scribble();
    peer.publish();
    try {
      if (random.chance(20)) receiver.takeOnly();
      receiver.fill();
      if (random.chance(20)) receiver.park('event');
      if (random.chance(10)) receiver.unpark();
      assert.ok(ring.reader.unread >= 0 && ring.reader.unread + ring.reader.taken <= ring.capacity);
    } catch (error) {
      if (error.code !== 'ERR_SHMLOOP_PROTOCOL' && error.code !== 'ERR_SHMLOOP_MESSAGE_SIZE') throw error;
      break;
    }
  }
  return peer.mutations;
}
