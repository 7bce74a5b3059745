import { describe, expect, test } from 'vitest';
import { type FrameType, TYPE } from '../../src/channel/framing.js';
import { Receiver } from '../../src/channel/receiver.js';
import { Sender } from '../../src/channel/sender.js';
import { MAX_PARTS_HEAD } from '../../src/layout.js';
import { makeRing, pattern, type Ring } from '../support/ring.js';
import { TestSink } from '../support/sink.js';

const KIB = 1024;

interface Setup extends Ring {
  readonly sender: Sender;
  readonly receiver: Receiver;
  readonly sink: TestSink;
}

function setUp(capacity: number = 4 * KIB): Setup {
  const ring = makeRing(capacity);
  const sink = new TestSink();
  const fail = (error: unknown) => {
    throw error;
  };
  return {
    ...ring,
    sink,
    sender: new Sender(ring.writer, fail),
    receiver: new Receiver(ring.reader, sink, 10 * capacity),
  };
}

function send({ sender }: Setup, ...messages: [FrameType, number][]): void {
  for (const [type, length] of messages) sender.send(type, 0, pattern(length, length));
  sender.publish();
}

describe('a sink that wants views', () => {
  test('gets every message as a view of the ring, also behind other frames, and nothing else so', () => {
    const setup = setUp();
    const views: number[] = [];
    setup.sink.view = (view) => {
      expect(view.buffer).toBe(setup.reader.lend(0, 1).buffer);
      views.push(view.length);
    };
    send(setup, [TYPE.request, 5], [TYPE.message, 1], [TYPE.message, 2], [TYPE.reply, 6], [TYPE.message, 3]);
    while (setup.receiver.fill());
    expect(views).toEqual([1, 2, 3]);
    expect(setup.sink.received.map(({ data }) => data.length)).toEqual([5, 6]);
  });

  test('gets a message that came in parts as private memory', () => {
    const setup = setUp();
    setup.sink.view = () => expect.unreachable();
    setup.sender.send(TYPE.message, 0, pattern(9000, 1));
    while (setup.sink.received.length === 0) {
      setup.sender.flush();
      setup.sender.publish();
      setup.receiver.fill();
    }
    expect(setup.sink.received[0]?.data.equals(pattern(9000, 1))).toBe(true);
  });
});

describe('what is not wanted', () => {
  test('stays in the ring with all that follows, and comes later', () => {
    const setup = setUp();
    send(setup, [TYPE.reply, 1], [TYPE.message, 2], [TYPE.reply, 3]);
    setup.sink.wants = (type) => type !== TYPE.message;
    setup.receiver.fill();
    expect(setup.receiver.isStalled).toBe(true);
    expect(setup.receiver.isEmpty()).toBe(false);
    expect(setup.receiver.fill()).toBe(false);
    expect(setup.receiver.park('event')).toBe(true);
    expect(setup.sink.received.map(({ data }) => data.length)).toEqual([1]);
    setup.sink.wants = () => true;
    expect(setup.receiver.park('event')).toBe(false);
    setup.receiver.fill();
    expect(setup.sink.received.map(({ data }) => data.length)).toEqual([1, 2, 3]);
    expect(setup.receiver.isEmpty()).toBe(true);
  });

  test('does not keep what was taken before from being released', () => {
    const setup = setUp();
    send(setup, [TYPE.reply, 1000], [TYPE.reply, 1000], [TYPE.message, 1000], [TYPE.reply, 900]);
    setup.sink.wants = (type) => type !== TYPE.message;
    setup.receiver.fill();
    expect(setup.sender.send(TYPE.reply, 0, pattern(1000, 1))).toBe(true);
  });
});

describe('a turn', () => {
  test('takes a bounded part of a large ring', () => {
    const setup = setUp(4 * KIB * KIB);
    for (let i = 0; i < 3500; i++) setup.sender.send(TYPE.message, 0, pattern(1000, i));
    setup.sender.publish();
    setup.receiver.fill();
    const first = setup.sink.received.length;
    expect(first).toBeGreaterThan(100);
    expect(first).toBeLessThan(1000);
    while (setup.receiver.fill());
    expect(setup.sink.received.length).toBe(3500);
    expect(setup.receiver.fill()).toBe(false);
  });

  test('is over when the receiver is closed in a view', () => {
    const setup = setUp();
    let views = 0;
    setup.sink.view = () => {
      views++;
      setup.receiver.close();
    };
    send(setup, [TYPE.message, 1], [TYPE.message, 2]);
    setup.receiver.fill();
    setup.receiver.fill();
    expect(views).toBe(1);
  });
});

describe('the limit of messages', () => {
  const LIMIT = 1000;
  const take = (type: FrameType, length: number) => {
    const { writer, reader } = makeRing(512 * KIB);
    const sink = new TestSink();
    const receiver = new Receiver(reader, sink, LIMIT);
    const sender = new Sender(writer, () => undefined);
    sender.send(type, 0, pattern(length, 1));
    sender.publish();
    while (receiver.fill());
    return sink.received[0]?.data.length;
  };
  const refused = expect.objectContaining({ code: 'ERR_SHMLOOP_MESSAGE_SIZE' });

  test.each([TYPE.message, TYPE.request, TYPE.reply, TYPE.failure])('is that of type %i', (type) => {
    expect(take(type, LIMIT)).toBe(LIMIT);
    expect(() => take(type, LIMIT + 1)).toThrow(refused);
    expect(() => take(type, 2 * LIMIT)).toThrow(refused);
    expect(() => take(type, 200 * KIB)).toThrow(refused);
  });

  test('leaves room for what says where the parts of a message are', () => {
    const most = LIMIT + MAX_PARTS_HEAD;
    expect(take(TYPE.region, most)).toBe(most);
    expect(() => take(TYPE.region, most + 1)).toThrow(refused);
    expect(() => take(TYPE.region, 200 * KIB)).toThrow(refused);
  });
});

test('nothing is taken after the end', () => {
  const setup = setUp();
  send(setup, [TYPE.message, 1], [TYPE.end, 0], [TYPE.message, 2]);
  setup.receiver.fill();
  expect(setup.receiver.isEnded).toBe(true);
  expect(setup.receiver.fill()).toBe(false);
  expect(setup.receiver.park('event')).toBe(true);
  expect(setup.sink.received.map(({ data }) => data.length)).toEqual([1]);
});

test('small messages of one span share private memory without touching each other', () => {
  const setup = setUp();
  const sizes = Array.from({ length: 200 }, (_, i) => i % 13);
  const sent = sizes.map((size, i) => pattern(size, i));
  for (const message of sent) setup.sender.send(TYPE.message, 0, message);
  setup.sender.publish();
  setup.receiver.fill();
  for (const { data } of setup.sink.received) data.fill(0xff);
  for (const message of sent) setup.sender.send(TYPE.message, 0, message);
  setup.sender.publish();
  setup.receiver.fill();
  const { received } = setup.sink;
  expect(received.slice(0, 200).every(({ data }) => data.every((byte) => byte === 0xff))).toBe(true);
  expect(received.slice(200).map(({ data }) => data)).toEqual(sent);
});
