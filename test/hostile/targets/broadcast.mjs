// A broadcast region from both ends: a publisher that writes what it likes, and a reader's word of where it has got to.
import assert from 'node:assert/strict';
import { BroadcastMemory, broadcastFileLength, SEALS } from '../../../dist/broadcast/broadcast-memory.js';
import { WriterCursor } from '../../../dist/broadcast/cursor.js';
import { readTerms, writeTerms } from '../../../dist/broadcast/options.js';
import { BroadcastReader } from '../../../dist/broadcast/reader.js';
import { BroadcastWriter } from '../../../dist/broadcast/writer.js';
import { BROADCAST, CURSOR, PAGE, RECORD } from '../../../dist/layout.js';
import { Region, SHARING_SEALS } from '../../../dist/memory/index.js';

const CAPACITY = PAGE;
const LENGTH = broadcastFileLength(CAPACITY);
const payload = Buffer.alloc(CAPACITY, 7);
const { region, descriptor } = Region.create(LENGTH, 'plain', SEALS);
const own = new BroadcastMemory(region);
const theirs = new BroadcastMemory(Region.adopt(descriptor, LENGTH, 'private', SHARING_SEALS.read));
/** Takes back what was done to the records. */
const spoilt = [];
const POSITIONS = [BROADCAST.head, BROADCAST.tail, BROADCAST.newest];

/** @returns how much was changed */
export function play(random) {
  return random.chance(60) ? publisher(random) : random.chance(70) ? subscriber(random) : terms(random);
}

function publisher(random) {
  own.control.fill(0);
  const start = random.pick([0, 8, 2 ** 35 - 64, 2 ** 52]);
  const writer = new BroadcastWriter(own, start);
  const reader = new BroadcastReader(theirs, start, 0);
  let changes = 0;
  for (let turn = 0; turn < 6; turn++) {
    // The writer here goes by what it wrote itself, which nobody but a publisher can change.
    for (const restore of spoilt.splice(0).reverse()) restore();
    for (let records = random.below(8); records > 0; records--) writer.put(payload.subarray(0, random.below(300)));
    writer.publish();
    for (let count = random.below(4); count > 0; count--, changes++) scribble(random);
    try {
      for (let reads = 0; reads < 20; reads++) {
        const message = reader.next();
        if (message === undefined) break;
        assert.ok(message.length <= CAPACITY - RECORD.headerLength);
        assert.notEqual(message.buffer, theirs.region.memory, 'a message that the peer can change');
      }
      assert.ok(Number.isSafeInteger(reader.lost) && reader.lost >= 0);
    } catch (error) {
      if (error.code !== 'ERR_SHMLOOP_PROTOCOL') throw error;
      break;
    }
  }
  return changes;
}

function scribble(random) {
  if (random.chance(60)) own.control[random.pick(POSITIONS) + random.below(3)] = random.word();
  else spoil(random.below(CAPACITY / 4), random.word());
}

function spoil(index, word) {
  const { words } = own;
  const before = words[index];
  spoilt.push(() => {
    words[index] = before;
  });
  words[index] = word;
}

function subscriber(random) {
  const words = new Int32Array(PAGE / 4);
  const start = 8 * random.below(1000);
  const cursor = new WriterCursor(words, start);
  let published = start;
  let changes = 0;
  for (let turn = 0; turn < 8; turn++, changes++) {
    published += 8 * random.below(600);
    words[random.pick([CURSOR.consumed, CURSOR.readerParked, CURSOR.writerParked])] = random.word();
    const before = cursor.position;
    try {
      const position = cursor.observe(published);
      assert.ok(position >= before && position <= published, 'read what is not there');
    } catch (error) {
      if (error.code !== 'ERR_SHMLOOP_PROTOCOL') throw error;
    }
    cursor.wake();
  }
  return changes;
}

function terms(random) {
  const good = writeTerms({ policy: 'block', capacity: CAPACITY, start: 4096, sequence: 12 });
  const characters = [...good];
  const changes = 1 + random.below(3);
  for (let i = 0; i < changes; i++) characters[random.below(good.length)] = random.pick([' ', '9', '-', 'e', '\0', '']);
  try {
    const { capacity, start, sequence } = readTerms(characters.join(''));
    assert.ok(capacity >= PAGE && start % 8 === 0 && Number.isSafeInteger(sequence));
  } catch (error) {
    if (error.code !== 'ERR_SHMLOOP_PROTOCOL') throw error;
  }
  return changes;
}
