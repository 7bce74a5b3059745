import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type FrameType, TYPE } from '../../src/channel/framing.js';
import { Receiver } from '../../src/channel/receiver.js';
import { Sender } from '../../src/channel/sender.js';
import { FRAME, PAGE } from '../../src/layout.js';
import { makeRing, pattern } from '../support/ring.js';
import { TestSink } from '../support/sink.js';

const MAX_SIZE = 10 * PAGE;

interface Pair {
  readonly sender: Sender;
  readonly receiver: Receiver;
  readonly sink: TestSink;
  readonly notified: { reader: number; writer: number };
}

function makePair(): Pair {
  const ring = makeRing(PAGE);
  const sink = new TestSink();
  const fail = (error: unknown) => {
    throw error;
  };
  const receiver = new Receiver(ring.reader, sink, MAX_SIZE);
  return { sender: new Sender(ring.writer, fail), receiver, sink, notified: ring.notified };
}

type Step =
  | { do: 'send'; type: FrameType; id: number; length: number }
  | { do: 'flush' | 'publish' | 'receive' | 'refuse' | 'view' | 'park the sender' | 'park the receiver' }
  | { do: 'reserve'; length: number; commit: number };

const length = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 64 }) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: PAGE }) },
  { weight: 1, arbitrary: fc.integer({ min: PAGE, max: MAX_SIZE }) },
  { weight: 1, arbitrary: fc.constantFrom(1015, 1016, 1017, 2032, 2033, MAX_SIZE) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      type: fc.constantFrom<FrameType>(TYPE.message, TYPE.message, TYPE.request, TYPE.reply, TYPE.failure),
      id: fc.nat(FRAME.maxId),
      length,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('reserve' as const), length: fc.nat(1016), commit: fc.nat(1016) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom(
        ...(['flush', 'publish', 'receive', 'receive', 'refuse', 'view'] as const),
        ...(['park the sender', 'park the receiver'] as const),
      ),
    }),
  },
);

class Run {
  readonly #pair = makePair();
  readonly #sent: { type: number; id: number; data: Buffer }[] = [];

  do(step: Step): void {
    const { sender, receiver, sink, notified } = this.#pair;
    switch (step.do) {
      case 'send':
        return this.#send(step.type, step.id, step.length);
      case 'reserve':
        return this.#reserve(step.length, Math.min(step.commit, step.length));
      case 'flush':
        sender.flush();
        return;
      case 'publish':
        return sender.publish();
      case 'receive':
      case 'refuse':
      case 'view':
        sink.wants = (type) => step.do !== 'refuse' || type !== TYPE.message;
        sink.view = step.do === 'view' ? (data) => sink.receive(TYPE.message, 0, Buffer.from(data)) : undefined;
        receiver.fill();
        return;
      case 'park the sender': {
        if (sender.queued === 0) return;
        if (!sender.park('event')) expect(sender.isReady()).toBe(true);
        return;
      }
      case 'park the receiver': {
        const before = notified.reader;
        if (receiver.park('event') && !receiver.isStalled) this.#expectWake(before);
      }
    }
  }

  /** Whatever the state, going on alone delivers everything: no step is left waiting for another's wake-up. */
  finish(): void {
    const { sender, receiver, sink } = this.#pair;
    sink.wants = () => true;
    for (let quiet = 0; quiet < 2; ) {
      const progress = sender.flush();
      sender.publish();
      quiet = receiver.fill() || progress ? 0 : quiet + 1;
    }
    expect(sender.queued).toBe(0);
    expect(sink.received.length).toBe(this.#sent.length);
    this.check();
  }

  /** What arrived is what was sent first, each whole. */
  check(): void {
    const { received } = this.#pair.sink;
    for (let i = 0; i < received.length; i++) {
      const [got, sent] = [received[i] as (typeof received)[0], this.#sent[i] as (typeof received)[0]];
      if (got.type === sent.type && got.id === sent.id && got.data.equals(sent.data)) continue;
      expect({ i, ...got }).toEqual({ i, ...sent });
    }
  }

  #send(type: FrameType, id: number, size: number): void {
    const data = pattern(size, this.#sent.length);
    this.#sent.push({ type, id: type === TYPE.message ? 0 : id, data });
    this.#pair.sender.send(type, type === TYPE.message ? 0 : id, data);
  }

  #reserve(size: number, commit: number): void {
    const view = this.#pair.sender.reserve(size);
    if (view === undefined) return;
    expect(view.length).toBe(size);
    const data = pattern(commit, this.#sent.length);
    view.set(data);
    this.#sent.push({ type: TYPE.message, id: 0, data });
    this.#pair.sender.commit(commit);
  }

  /** A parked receiver is told of the next thing that is published. */
  #expectWake(before: number): void {
    this.#sent.push({ type: TYPE.cancel, id: 1, data: Buffer.alloc(0) });
    const isInRing = this.#pair.sender.send(TYPE.cancel, 1, Buffer.alloc(0));
    this.#pair.sender.publish();
    if (isInRing) expect(this.#pair.notified.reader).toBe(before + 1);
  }
}

test('messages of any size arrive whole and in order through a ring of 4 KiB, however the two ends take turns', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 150, size: 'max' }), (steps) => {
      const run = new Run();
      for (const one of steps) {
        run.do(one);
        run.check();
      }
      run.finish();
    }),
    { numRuns: 250 },
  );
});

test('a message of several ring sizes is never in the memory of the sender twice', () => {
  const { sender, receiver, sink } = makePair();
  const data = pattern(MAX_SIZE, 1);
  expect(sender.send(TYPE.message, 0, data)).toBe(false);
  data.subarray(PAGE).fill(7); // by reference: what has no room yet is still the caller's memory
  while (sender.queued > 0) {
    sender.flush();
    sender.publish();
    receiver.fill();
  }
  expect(sink.received[0]?.data.subarray(PAGE).every((byte) => byte === 7)).toBe(true);
});
