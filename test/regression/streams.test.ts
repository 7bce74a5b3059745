import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { closed } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';

useRuntimeDirectory();
const open = useKeep();

test('the stream of a channel that ended and closed before ends', async () => {
  const [near, far] = await open.pair();
  const over = closed(far);
  await near.end();
  await over;
  expect(await text(far.stream())).toBe('');
});

test('the stream of a half-open channel that ended before ends, and can be written', async () => {
  const [near, far] = await open.pair({ far: { allowHalfOpen: true } });
  const ended = once(far, 'end');
  await near.end();
  await ended;
  const stream = far.stream();
  await once(stream.resume(), 'end');
  stream.end('the answer');
  expect(`${(await once(near, 'message'))[0]}`).toBe('the answer');
});

test('the stream of a channel that was closed here before ends', async () => {
  const [near] = await open.pair();
  await near.close();
  expect(await text(near.stream())).toBe('');
});

test('the stream of a channel that broke before fails as the channel did', async () => {
  const [near, far] = await open.pair();
  const over = closed(far);
  await near.close();
  expect(await over).toMatchObject({ code: 'ECONNRESET' });
  await expect(finished(far.stream())).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test('a stream to a peer that takes only small messages is cut to these', async () => {
  const [near, far] = await open.pair({ far: { maxMessageSize: 1000 } });
  near.stream().end('x'.repeat(10_000));
  expect((await text(far.stream())).length).toBe(10_000);
});

test('what is sent after the end of the stream, or written after the end of the channel, is an error', async () => {
  const over = expect.objectContaining({ code: 'ERR_SHMLOOP_CLOSED' });
  const [near, far] = await open.pair({ near: { allowHalfOpen: true }, far: { allowHalfOpen: true } });
  const stream = near.stream();
  stream.end('x');
  await finished(stream, { readable: false });
  expect(() => near.send('y')).toThrow(over);
  const other = far.stream();
  const failed = once(other, 'error');
  await far.end();
  other.write('z');
  expect((await failed)[0]).toEqual(over);
});

test('a stream gives all that was received before it fails as its channel did', async () => {
  const [near, far] = await open.pair();
  for (let i = 0; i < 10; i++) near.send('0123456789');
  await near.close();
  // By then it has heard of it.
  while (far.send('')) await turn();
  let bytes = 0;
  const reading = (async () => {
    for await (const chunk of far.stream()) bytes += chunk.length;
  })();
  await expect(reading).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(bytes).toBe(100);
});
