// Control messages of a link, and what two domains say about TCP connections: bytes, changed in some places.

import assert from 'node:assert/strict';
import { EVENTS } from '../../../dist/layout.js';
import { decode, encode } from '../../../dist/link/messages.js';
import { decode as decodeNet } from '../../../dist/net/proposal.js';
import { isCapacity } from '../../../dist/ring/index.js';
import { KINDS } from '../kinds.mjs';

const NET = [
  'net propose 7 127.0.0.1:80 127.0.0.1:8080 ff 9 00112233445566778899aabbccddeeff',
  'net agree 7 ff 9 00112233445566778899aabbccddeeff',
  'net decline 7 peer',
  'net challenge 7 proposer 00112233445566778899aabbccddeeff',
  `net moved ${'0a'.repeat(24)}`,
];

export function play(random) {
  return random.chance(80) ? control(random) : net(random);
}

function control(random) {
  const kind = random.pick(KINDS);
  const good = encode({ kind, port: random.below(9), capacity: random.pick([0, 4096, 65_536]), text: 'name' });
  const bytes = random.chance(90) ? good : good.subarray(0, random.below(good.length + 1));
  const changes = 1 + random.below(4);
  for (let i = 0; i < changes && bytes.length > 0; i++) {
    if (random.chance(50) && bytes.length >= 32) bytes.writeInt32LE(random.word(), 8 + 4 * random.below(6));
    else bytes[random.below(bytes.length)] = random.bits();
  }
  try {
    const message = decode(bytes);
    assert.ok(KINDS.includes(message.kind));
    assert.ok(Math.max(message.port, message.peerPort) < EVENTS.maxChannels);
    assert.ok(message.capacity === 0 || isCapacity(message.capacity));
  } catch (error) {
    if (error.code !== 'ERR_SHMLOOP_PROTOCOL' && error.code !== 'ERR_SHMLOOP_VERSION') throw error;
  }
  return changes;
}

function net(random) {
  const characters = [...random.pick(NET)];
  const changes = 1 + random.below(4);
  for (let i = 0; i < changes; i++)
    characters[random.below(characters.length)] = random.pick([' ', '0', '9', 'f', '\0', '.', ':', '-', '']);
  const message = decodeNet(characters.join(''));
  if (message?.id !== undefined) assert.ok(Number.isSafeInteger(message.id) && message.id >= 0);
  return changes;
}
