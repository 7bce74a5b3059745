import { beforeEach, describe, expect, test } from 'vitest';
import {
  bind,
  type Channel,
  configure,
  connect,
  createRegion,
  publish,
  RegionPool,
  subscribe,
} from '../../src/index.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';

useRuntimeDirectory();
const open = useKeep();
const invalid = expect.objectContaining({ name: 'ShmloopError', code: 'ERR_SHMLOOP_INVALID_ARGUMENT' });

const NOT_SIZES = [
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  '4096',
  null,
  {},
  4n,
  Symbol('4'),
  Object.create(null),
];
const NOT_BYTES = [undefined, null, 5, {}, [], new ArrayBuffer(4), new DataView(new ArrayBuffer(4))];
const NOT_TIMES = [-1, Number.NaN, '5', null, {}, 5n, Symbol('5'), Object.create(null)];
const NOT_FUNCTIONS = [undefined, null, 5, 'f', {}];

describe('options', () => {
  const bad: [string, unknown][] = [
    ...[...NOT_SIZES, 0, 4095, 5000, 2048, 1 << 27].map((value): [string, unknown] => ['ringSize', value]),
    ...[...NOT_SIZES, 2 ** 30 + 1].map((value): [string, unknown] => ['maxMessageSize', value]),
    ...[0, 1, 'yes', null, {}].map((value): [string, unknown] => ['allowHalfOpen', value]),
    ...['', 'out', 'any', 1, null].map((value): [string, unknown] => ['direction', value]),
  ];

  test.each(bad)('%s cannot be %o', async (option, value) => {
    await expect(bind('name', { [option]: value })).rejects.toThrow(invalid);
    await expect(connect('name', { [option]: value })).rejects.toThrow(invalid);
    await open.bind('name');
  });

  test.each([null, 'x', 5, Symbol('x')])('they cannot be %o', async (options) => {
    for (const call of [bind, connect, publish, subscribe]) {
      await expect(call('name', options as never)).rejects.toThrow(invalid);
    }
    expect(() => configure(options as never)).toThrow(invalid);
    expect(() => configure({ net: options as never })).toThrow(invalid);
    expect(() => createRegion(1, options as never)).toThrow(invalid);
    expect(() => new RegionPool(options as never)).toThrow(invalid);
    using pool = new RegionPool({ size: 4096 });
    await expect(pool.allocateWhenFree(1, options as never)).rejects.toThrow(invalid);
  });

  test.each([0, -1, 1.5, Number.NaN, '5', null])('backlog cannot be %o', async (backlog) => {
    await expect(bind('name', { backlog: backlog as never })).rejects.toThrow(invalid);
  });

  test.each([0, 'yes', null])('wait cannot be %o', async (wait) => {
    await expect(connect('name', { wait: wait as never })).rejects.toThrow(invalid);
  });

  test.each([0, 'signal', null, {}, { aborted: false }])('signal cannot be %o', async (signal) => {
    for (const call of [connect, subscribe]) {
      await expect(call('name', { signal: signal as never })).rejects.toThrow(invalid);
    }
    using pool = new RegionPool({ size: 4096 });
    await expect(pool.allocateWhenFree(1, { signal: signal as never })).rejects.toThrow(invalid);
  });

  test('left undefined have their defaults', async () => {
    const nothing = {
      ringSize: undefined,
      maxMessageSize: undefined,
      allowHalfOpen: undefined,
      direction: undefined,
    };
    await open.bind('name', { ...nothing, backlog: undefined });
    const channel = await open.connect('name', { ...nothing, wait: undefined, signal: undefined });
    expect(channel.maxMessageSize).toBe(128 * 1024 * 1024);
    expect(channel.maxReservation).toBe((1024 * 1024) / 4 - 8);
    expect([channel.canSend, channel.canReceive]).toEqual([true, true]);
  });

  test.each([4096, 1 << 26])('ringSize may be %d', async (ringSize) => {
    await open.bind('name', { ringSize });
    await open.connect('name', { ringSize });
  });

  test('waiting is one of its modes', () => {
    for (const waiting of ['', 'poll', 5, null])
      expect(() => configure({ waiting: waiting as never })).toThrow(invalid);
    configure({});
    configure({ waiting: undefined });
  });
});

describe('of a channel', () => {
  let channel: Channel;

  beforeEach(async () => {
    await open.bind('name');
    channel = await open.connect('name');
  });

  test.each(NOT_BYTES)('a message cannot be %o', async (data) => {
    expect(() => channel.send(data as never)).toThrow(invalid);
    expect(() => channel.sendSync(data as never)).toThrow(invalid);
    await expect(channel.request(data as never)).rejects.toThrow(invalid);
  });

  test.each([...NOT_SIZES, undefined])('a reservation cannot be of %o bytes', (length) => {
    expect(() => channel.reserve(length as never)).toThrow(invalid);
  });

  test.each([...NOT_SIZES, 11])('of ten reserved bytes, %o cannot be sent, and the reservation stays', (length) => {
    expect(channel.reserve(10)).not.toBeNull();
    if (length === null) return channel.commit(10);
    expect(() => channel.commit(length as never)).toThrow(invalid);
    channel.commit(10);
  });

  test.each(NOT_TIMES)('a timeout cannot be %o', async (timeout) => {
    expect(() => channel.sendSync('x', timeout as never)).toThrow(invalid);
    expect(() => channel.receiveSync(timeout as never)).toThrow(invalid);
    await expect(channel.request('x', { timeout: timeout as never })).rejects.toThrow(invalid);
  });

  test.each([0, 'signal', null, {}])('the signal of a request cannot be %o', async (signal) => {
    await expect(channel.request('x', { signal: signal as never })).rejects.toThrow(invalid);
  });

  test.each([null, 'x', 5])('the options of a call cannot be %o', async (options) => {
    using region = createRegion(1);
    await expect(channel.request('x', options as never)).rejects.toThrow(invalid);
    await expect(channel.grant(region, options as never)).rejects.toThrow(invalid);
    await expect(channel.map('x', options as never)).rejects.toThrow(invalid);
    expect(() => channel.sendRegion(region, options as never)).toThrow(invalid);
    expect(() => channel.regions(options as never)).toThrow(invalid);
    expect(() => channel.consume(() => undefined, options as never)).toThrow(invalid);
    // And the channel is free to be used.
    channel.on('message', () => undefined);
  });

  test.each(NOT_FUNCTIONS)('a handler or consumer cannot be %o', (nothing) => {
    expect(() => channel.handle(nothing as never)).toThrow(invalid);
    expect(() => channel.consume(nothing as never)).toThrow(invalid);
    // And the channel is free to be used.
    channel.consume(() => undefined);
  });

  test('any kind of Uint8Array is a message, and only its own bytes', async () => {
    const bytes = new Uint8Array([0, 1, 2, 3, 4, 5]);
    channel.send(bytes.subarray(2, 4));
    channel.send(new Uint8Array(new SharedArrayBuffer(3)));
    channel.send(Buffer.from('é'));
    channel.send('é');
    expect(channel.send(new Uint8Array(0))).toBe(true);
  });
});
