// A ring whose two ends map it for themselves, as two domains do. Its honest end says so when it is asked for bytes
// that are not the ring's: that would be a read, or a write, outside of its mapping.
import assert from 'node:assert/strict';
import { Region } from 'shmloop/memory';
import { RingMemory, RingReader, RingWriter, ringFileLength } from 'shmloop/ring';

function check(capacity, at, length, what) {
  const isWithin = at >= 0 && length >= 0 && at + length <= capacity;
  assert.ok(isWithin, `${what}: ${length} bytes at ${at} of a ring of ${capacity}`);
}

class CheckedReader extends RingReader {
  /** Called right before bytes are copied: the peer's moment. */
  meanwhile() {}

  copyOut(at, length, target, targetOffset) {
    check(this.capacity, at, length, 'copyOut');
    check(target.length, targetOffset, length, 'its target');
    this.meanwhile();
    super.copyOut(at, length, target, targetOffset);
  }

  copyWords(at, length, target, targetOffset) {
    check(this.capacity, at, length, 'copyWords');
    this.meanwhile();
    super.copyWords(at, length, target, targetOffset);
  }

  lend(at, length) {
    check(this.capacity, at, length, 'lend');
    return super.lend(at, length);
  }

  take(length) {
    check(this.capacity, 0, length, 'take');
    assert.ok(length <= this.unread, `took ${length} of ${this.unread} bytes`);
    super.take(length);
  }
}

class CheckedWriter extends RingWriter {
  constructor(memory, notify) {
    super(memory, notify);
    this.capacity = memory.capacity;
  }

  fill(at, source, start, end) {
    check(this.capacity, at, end - start, 'fill');
    super.fill(at, source, start, end);
  }

  recall(length) {
    check(this.capacity, 0, length, 'recall');
    return super.recall(length);
  }

  advance(length) {
    super.advance(length);
    assert.ok(this.unpublished <= this.capacity, `filled ${this.unpublished} of ${this.capacity} bytes`);
  }
}

const CAPACITIES = [4096, 65_536];

/** Memory is made once: making it is not what is tried here. */
export class Rings {
  #memories = CAPACITIES.map((capacity) => {
    const { region, descriptor } = Region.create(ringFileLength(capacity), 'ring');
    const own = new RingMemory(region);
    const theirs = new RingMemory(Region.adopt(descriptor, ringFileLength(capacity), 'ring'));
    return { own, theirs };
  });

  /** The memory, empty; `hostile` is the peer's view of it. */
  take(random) {
    const { own, theirs } = random.pick(this.#memories);
    RingReader.format(own);
    return { own, hostile: theirs, capacity: own.capacity };
  }

  reader(random) {
    const memory = this.take(random);
    return { ...memory, reader: new CheckedReader(memory.own, () => undefined) };
  }

  writer(random) {
    const memory = this.take(random);
    return { ...memory, writer: new CheckedWriter(memory.own, () => undefined) };
  }
}

/** What the peer does to the memory; counts what it changed. */
export class Peer {
  mutations = 0;

  constructor(random, { hostile, capacity }) {
    this.random = random;
    this.memory = hostile;
    this.capacity = capacity;
    this.published = 0;
    this.at = 0;
  }

  /** Any of the control page's first words. */
  control() {
    this.mutations++;
    Atomics.store(this.memory.control, this.random.chance(85) ? 0 : 1, this.random.word());
  }

  /** Room that may be there, in a word that no reader wrote. */
  room() {
    this.mutations++;
    const { random, capacity } = this;
    const flags = random.chance(50) ? random.pick([0, 1 << 28, 1 << 29, 1 << 30]) : 0;
    const seen = Atomics.load(this.memory.control, 0) & ((1 << 27) - 1);
    const bytes = random.chance(50) ? capacity : seen + random.below(Math.max(1, capacity - seen + 1));
    Atomics.store(this.memory.control, 0, (bytes & ((1 << 27) - 1)) | flags);
  }

  /** Any word of the data. */
  data() {
    this.mutations++;
    this.memory.words[this.random.below(this.capacity >> 2)] = this.random.word();
  }

  /**
   * A frame where the next one is due: mostly well-formed, with one field that is not.
   * @param fixed lengths of types that have one
   */
  frame(types, longest, fixed = {}) {
    const { random } = this;
    const isBad = random.chance(10);
    const type = random.chance(90) ? random.pick(types) : random.below(16);
    const due = random.chance(90) ? fixed[type] : undefined;
    const length = isBad ? random.word() : (due ?? random.below(longest));
    const size = (8 + length + 7) & -8;
    if (!isBad && this.at + size > this.capacity) return false;
    const start = this.at >> 2;
    this.memory.words[start] = type | (random.below(4) << 4);
    this.memory.words[start + 1] = length;
    if (random.chance(50)) {
      this.memory.words[start + 2] = random.chance(70) ? random.pick(types) : random.word();
      this.memory.words[start + 3] = random.chance(70) ? random.below(20_000) : random.word();
    }
    this.at += isBad ? 8 * random.below(4) : size;
    this.mutations += 2;
    return true;
  }

  /** Makes what it wrote visible, or says so of more or less. */
  publish() {
    const { random } = this;
    this.mutations++;
    if (random.chance(92)) {
      Atomics.sub(this.memory.control, 0, this.at - this.published);
      this.published = this.at;
    } else this.control();
  }

  /** One of these, as it comes. */
  scribble() {
    if (this.random.chance(30)) this.control();
    else this.data();
  }
}
