// What a peer says of memory that it passes, and of the parts of a message that lie there.
import assert from 'node:assert/strict';
import { parsePassed, passedText } from '../../../dist/channel/grant-messages.js';
import { decodeParts } from '../../../dist/channel/parts.js';
import { PAGE, PARTS } from '../../../dist/layout.js';

const NUMBERS = [0, 1, -1, 0.5, PAGE, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), Number.NaN, Number.POSITIVE_INFINITY];

/** @returns how much was changed */
export function play(random) {
  return random.chance(40) ? passed(random) : parts(random);
}

function passed(random) {
  const good = { id: 3, size: 4 * PAGE, offset: PAGE, length: PAGE, sharing: 'read' };
  const changes = 1 + random.below(3);
  for (let i = 0; i < changes; i++) good[random.pick(['id', 'size', 'offset', 'length'])] = random.pick(NUMBERS);
  if (random.chance(10)) good.sharing = 'all';
  try {
    const { id, size, offset, length } = parsePassed(passedText(good));
    assert.ok(id >= 0 && size % PAGE === 0 && offset >= 0 && length > 0 && offset + length <= size);
  } catch (error) {
    if (error.code !== 'ERR_SHMLOOP_PROTOCOL') throw error;
  }
  return changes;
}

function parts(random) {
  const count = 1 + random.below(4);
  const head = PARTS.headerLength + count * PARTS.partLength;
  const payload = Buffer.alloc(head + 100);
  payload.writeUInt32LE(count, PARTS.count);
  for (let at = PARTS.headerLength; at < head; at += PARTS.partLength) {
    payload.writeDoubleLE(random.below(2), at + PARTS.grant);
    payload.writeDoubleLE(random.chance(70) ? 100 : random.below(200), at + PARTS.length);
  }
  const changes = 1 + random.below(4);
  for (let i = 0; i < changes; i++) change(random, payload, head);
  const bytes = random.chance(85) ? payload : payload.subarray(0, random.below(payload.length + 1));
  try {
    const decoded = decodeParts(bytes);
    assert.ok(decoded.parts.length <= PARTS.maxParts && decoded.head <= bytes.length);
    const inline = decoded.parts.filter(({ grant }) => grant === 0).reduce((sum, { length }) => sum + length, 0);
    assert.equal(inline, bytes.length - decoded.head);
    for (const { offset, length } of decoded.parts) assert.ok(offset >= 0 && length >= 0);
  } catch (error) {
    if (error.code !== 'ERR_SHMLOOP_PROTOCOL') throw error;
  }
  return changes;
}

function change(random, payload, head) {
  if (random.chance(30)) payload.writeInt32LE(random.word(), PARTS.count);
  else if (random.chance(50))
    payload.writeDoubleLE(random.pick(NUMBERS), PARTS.headerLength + 8 * random.below((head - PARTS.headerLength) / 8));
  else payload[random.below(payload.length)] = random.bits();
}
