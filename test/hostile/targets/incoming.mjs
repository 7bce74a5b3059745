// What a switched TCP connection reads, with TCP in between at any moment.
import assert from 'node:assert/strict';
import { OFFSET_LENGTH, TYPE } from '../../../dist/net/frames.js';
import { Incoming } from '../../../dist/net/incoming.js';
import { Peer, Rings } from '../checked-ring.mjs';

const TYPES = Object.values(TYPE);
const FIXED = { [TYPE.fromTcp]: OFFSET_LENGTH, [TYPE.toTcp]: 0, [TYPE.end]: 0, [TYPE.go]: 0 };
const EOF = -4095;
const rings = new Rings();
const room = Buffer.alloc(65_536);

export function play(random) {
  const ring = rings.reader(random);
  const peer = new Peer(random, ring);
  let broken;
  let ends = 0;
  const owner = {
    room: (length) => room.subarray(0, Math.min(length, room.length)),
    deliver(memory, length) {
      assert.ok(length > 0 && length <= memory.length, `delivered ${length} bytes of ${memory.length}`);
      assert.equal(memory.buffer, room.buffer, 'delivered what the peer can change');
      assert.equal(ends, 0, 'delivered after the end');
    },
    deliverEnd: () => ends++,
    peerConfirmed: () => undefined,
    readTcp: () => undefined,
    isUnreadByPeer: () => random.chance(50),
    isWriteCut: () => random.chance(50),
    broken(error) {
      broken = error;
      incoming.fail(-104);
    },
  };
  const incoming = new Incoming(owner, ring.reader, random.below(100));
  incoming.start();
  if (random.chance(30)) ring.reader.meanwhile = () => peer.scribble();
  // As an honest peer begins, or there would be little to read.
  if (random.chance(80)) begin(peer);
  for (let turn = 0; turn < 10 && broken === undefined; turn++) {
    for (let frames = random.below(8); frames > 0; frames--) if (!peer.frame(TYPES, 600, FIXED)) break;
    if (random.chance(15)) peer.scribble();
    peer.publish();
    for (let polls = 0; polls < 20 && incoming.poll(); polls++);
    if (random.chance(20)) incoming.arm();
    if (random.chance(20)) incoming.tcpArrived(random.below(200), (from) => Buffer.alloc(Math.max(0, 200 - from)));
    if (random.chance(20)) incoming.tcpDelivered();
    if (random.chance(3)) incoming.tcpEnded(EOF);
    if (random.chance(3)) incoming.peerGone();
  }
  assert.ok(ends <= 1, `${ends} ends`);
  if (broken !== undefined && broken.code !== 'ERR_SHMLOOP_PROTOCOL') throw broken;
  return peer.mutations;
}

function begin(peer) {
  const { words } = peer.memory;
  words.set([TYPE.go, 0, TYPE.fromTcp, 8]);
  new DataView(words.buffer, words.byteOffset).setFloat64(16, peer.random.below(300), true);
  peer.at = 24;
}
