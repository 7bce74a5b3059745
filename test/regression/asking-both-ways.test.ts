import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import type { Channel } from '../../src/index.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';
import { asleep, turn } from '../support/turns.js';

useRuntimeDirectory();
const open = useKeep();
const MIB = 1024 * 1024;
/** That may be without an answer at a time. */
const WINDOW = 1024;
const never = () => new Promise<undefined>(() => undefined);
const ping = (channel: Channel) => channel.request('ping', { timeout: 5000 }).then(String);

describe('two ends that ask each other', () => {
  test('for more than waits to be sent get all their answers', async () => {
    const ends = await open.pair();
    const reply = Buffer.alloc(MIB);
    for (const end of ends) end.handle(() => turn(reply));
    let replies = 0;
    const ask = async (end: Channel) => {
      for (let i = 0; i < 8; i++) if ((await end.request('', { timeout: 20_000 })).length === MIB) replies++;
    };
    await Promise.all(ends.flatMap((end) => Array.from({ length: 64 }, () => ask(end))));
    expect(replies).toBe(2 * 64 * 8);
  });

  test('and send large messages at the same time get both', async () => {
    const ends = await open.pair();
    for (const end of ends) end.handle(() => 'pong');
    const messages = ends.map((end) => once(end, 'message'));
    const replies = ends.map((end) => {
      const reply = ping(end);
      end.send(Buffer.alloc(20 * MIB));
      return reply;
    });
    expect(await Promise.all(replies)).toEqual(['pong', 'pong']);
    for (const [message] of await Promise.all(messages)) expect(message.length).toBe(20 * MIB);
  });

  test('within their handlers get answers, however many they are', async () => {
    const [near, far] = await open.pair();
    near.handle(() => 'answer');
    far.handle(() => far.request('question'));
    const all = Array.from({ length: 2 * WINDOW }, () => near.request('', { timeout: 20_000 }));
    expect(new Set((await Promise.all(all)).map(String))).toEqual(new Set(['answer']));
  });
});

describe('requests beyond what may be without an answer', () => {
  test.each([WINDOW, WINDOW + 1, 3 * WINDOW])('of %d that are given up all handlers hear', async (count) => {
    const [near, far] = await open.pair();
    const controller = new AbortController();
    let running = 0;
    far.handle((request, { signal }) => {
      if (String(request) === 'ping') return 'pong';
      running++;
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve(void running--)));
    });
    const all = Array.from({ length: count }, () => near.request('', { signal: controller.signal }));
    while (running < WINDOW) await turn();
    controller.abort();
    const settled = await Promise.allSettled(all);
    expect(settled.every(({ status }) => status === 'rejected')).toBe(true);
    expect(await ping(near)).toBe('pong');
    expect(running).toBe(0);
  });

  test('wait their turn at who asks, and messages pass them by', async () => {
    const [near, far] = await open.pair();
    const answers: (() => void)[] = [];
    far.handle(() => new Promise((resolve) => answers.push(() => resolve(undefined))));
    const all = Array.from({ length: WINDOW + 2 }, () => near.request(''));
    near.send('message');
    await once(far, 'message');
    await asleep();
    expect(answers).toHaveLength(WINDOW);
    answers[0]?.();
    await all[0];
    await asleep();
    expect(answers).toHaveLength(WINDOW + 1);
    for (let i = 1; i < WINDOW + 2; i++) {
      while (answers.length <= i) await turn();
      answers[i]?.();
    }
    await Promise.all(all);
  });

  test('are bounded by their bytes as well, but for a single one', async () => {
    const [near, far] = await open.pair();
    const sizes: number[] = [];
    far.handle(({ length }) => {
      sizes.push(length);
      return never();
    });
    for (const size of [17 * MIB, 0]) near.request(Buffer.alloc(size)).catch(() => undefined);
    while (sizes.length === 0) await turn();
    await asleep();
    expect(sizes).toEqual([17 * MIB]);
  });

  test('that are given up while they wait are never sent', async () => {
    const [near, far] = await open.pair();
    let calls = 0;
    const answers: ((reply: string) => void)[] = [];
    far.handle(() => {
      calls++;
      return new Promise<string>((resolve) => answers.push(resolve));
    });
    const all = Array.from({ length: WINDOW }, () => near.request(''));
    const late = near.request('', { signal: AbortSignal.timeout(1) });
    await expect(late).rejects.toMatchObject({ name: 'TimeoutError' });
    while (calls < WINDOW) await turn();
    for (const answer of answers) answer('');
    await Promise.all(all);
    await asleep();
    expect(calls).toBe(WINDOW);
  });

  test('are answered also when their end ends right away', async () => {
    const [near, far] = await open.pair({ near: { allowHalfOpen: true }, far: { allowHalfOpen: true } });
    far.handle(() => turn('reply'));
    const all = Array.from({ length: 2 * WINDOW + 1 }, () => near.request(''));
    await near.end();
    expect(new Set((await Promise.all(all)).map(String))).toEqual(new Set(['reply']));
  });
});

test('an end that waits for requests comes when these are given up', async () => {
  const [near, far] = await open.pair();
  const controller = new AbortController();
  let calls = 0;
  far.handle(() => {
    calls++;
    return never();
  });
  for (let i = 0; i < WINDOW; i++) near.request('').catch(() => undefined);
  const late = near.request('', { signal: controller.signal });
  const ended = near.end();
  while (calls < WINDOW) await turn();
  controller.abort();
  await expect(late).rejects.toThrow();
  await ended;
  expect(calls).toBe(WINDOW);
});

test('requests on a channel that broke are refused, however many were without an answer', async () => {
  const [near, far] = await open.pair();
  far.handle(never);
  const all = Array.from({ length: WINDOW + 1 }, () => near.request(''));
  await far.close();
  for (const { status } of await Promise.allSettled(all)) expect(status).toBe('rejected');
  await expect(near.request('')).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test('what blocking calls did not send in time does not count as waiting', async () => {
  const [near, far] = await open.pair();
  const message = Buffer.alloc(200_000);
  let timeouts = 0;
  for (let i = 0; i < 100; i++) {
    try {
      near.sendSync(message, 0);
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_SHMLOOP_TIMEOUT' });
      timeouts++;
    }
  }
  expect(timeouts * message.length).toBeGreaterThan(16 * MIB);
  near.handle(() => 'pong');
  far.on('message', () => undefined);
  expect(await ping(far)).toBe('pong');
});
