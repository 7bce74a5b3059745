// The hostile peer over real sockets: a process that speaks the protocol so far, and then something near it.

import { setImmediate as turn } from 'node:timers/promises';
import { config } from '../faults/fixtures/lib.mjs';
import { EVENTS, encode, makeRing, native, plainMemory, RawPeer } from '../faults/fixtures/raw-peer.mjs';
import { KINDS } from './kinds.mjs';
import { Random } from './random.mjs';

const SEALED = 7;
const NAME = 'beset';

/** What may be passed, each made anew. */
const DESCRIPTORS = [
  () => plainMemory(EVENTS.regionLength, SEALED),
  () => plainMemory(EVENTS.regionLength),
  () => plainMemory(4096 + 4096, SEALED),
  () => plainMemory(4096, 3),
  () => plainMemory(2 ** 40, SEALED),
  () => plainMemory(0, SEALED),
  () => native().createDoorbell()[0],
  () => native().createDoorbell()[1],
  () => native().connectUnix(`${process.env.XDG_RUNTIME_DIR}/shmloop/${NAME}`),
  () => native().lockDirectory(process.env.XDG_RUNTIME_DIR) ?? plainMemory(0),
  () => makeRing(4096).descriptor,
];

const { seed, first, count } = config;
let mutations = 0;
for (let round = first; round < first + count; round++) {
  await play(new Random(seed, 'wire', round));
  if (round % 50 === 0) process.send({ round, mutations });
}
process.send({ round: first + count, mutations });
process.disconnect();

async function play(random) {
  let peer;
  try {
    peer = RawPeer.dial(NAME);
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error;
    return turn();
  }
  try {
    const stage = random.below(4);
    if (stage === 1) await peer.greet();
    if (stage >= 2) await peer.handshake();
    const channel = stage === 3 ? await peer.open(NAME, { capacity: 4096 }) : undefined;
    for (let i = 1 + random.below(8); i > 0; i--) await misbehave(random, peer, channel);
    await turn();
  } finally {
    peer.close();
    peer.region?.retire();
    peer.theirRegion?.retire();
  }
}

async function misbehave(random, peer, channel) {
  mutations++;
  const words = random.pick([channel?.theirs?.control, channel?.theirs?.words, channel?.own?.control, peer.region]);
  if (words !== undefined && random.chance(50)) {
    const target = words.memory === undefined ? words : new Int32Array(words.memory);
    target[random.chance(50) ? random.below(4) : random.below(target.length)] = random.word();
    if (random.chance(50)) channel?.notify?.();
    if (peer.ringing !== undefined && random.chance(30)) native().ringDoorbell(peer.ringing);
    return;
  }
  const bytes = encode({
    kind: random.pick(KINDS),
    direction: random.pick(['both', 'send', 'receive', 'any']),
    port: random.below(4),
    peerPort: random.below(4),
    ring: random.below(4),
    capacity: random.pick([0, 4096, 65_536]),
    maxMessageSize: random.bits(),
    text: random.pick([NAME, 'f'.repeat(32), 'nobody', `net ${random.bits()}`, '1 4096 0 4096 read', '']),
  });
  if (random.chance(30)) bytes[random.below(bytes.length)] = random.bits();
  const descriptors = [];
  while (descriptors.length < 4 && random.chance(40)) descriptors.push(random.pick(DESCRIPTORS)());
  try {
    peer.send(random.chance(90) ? bytes : bytes.subarray(0, random.below(bytes.length)), descriptors);
  } catch (error) {
    // Since Linux 6.16 the kernel itself refuses descriptors before they are allowed.
    if (error.code !== 'EPERM') throw error;
  } finally {
    for (const descriptor of descriptors) descriptor.close();
  }
}
