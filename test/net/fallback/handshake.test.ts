import { describe, expect } from 'vitest';
import { onTcp, type Start, shared, test } from '../identity/support.js';

const FAKE = new URL('fixtures/fake.mjs', import.meta.url);
const TALK = { rounds: 10, length: 50_000 };
/** Two writes each: the connection is just not worth a switch yet, and is with one more. */
const LITTLE = { rounds: 3, length: 200 };
const MORE = { rounds: 1, length: 100_000 };
const AUTO = { SHMLOOP_UPGRADE: 'auto' };

async function withFake(start: Start, manner: string) {
  const [fake, client, honest] = await Promise.all([start({ program: FAKE, preload: false }), start(), start()]);
  const port = await fake.call('listen', manner);
  const other = await client.call('connect', { port: await honest.call('listen') });
  await client.call('switched', other);
  const key = await client.call('connect', { port });
  return { fake, client, honest, key, other };
}

describe.concurrent('a peer that agrees to switch', () => {
  test('and has no channel then: the connection stays on TCP', async ({ start }) => {
    const { fake, client, honest, key, other } = await withFake(start, 'refuses');
    expect(await client.call('settle', key)).toEqual(onTcp('handshake', fake.pid));
    expect(await client.call('talk', key, TALK)).toEqual(onTcp('handshake', fake.pid));
    expect(await client.call('talk', other, TALK)).toEqual(shared(honest.pid));
  });

  test('and closes the channel at once: the connection is on TCP again', async ({ start }) => {
    const { fake, client, honest, key, other } = await withFake(start, 'closes');
    for (let i = 0; i < 5; i++) {
      expect(await client.call('talk', key, TALK)).toMatchObject({ transport: 'tcp', pids: [fake.pid] });
    }
    await client.call('becomes', key, 'handshake');
    expect(await client.call('talk', other, TALK)).toEqual(shared(honest.pid));
  });

  test('and stops before it opens the channel: nothing is lost when it goes on', async ({ start }) => {
    const { fake, client, honest, key, other } = await withFake(start, 'stops');
    const talking = client.call('talk', key, TALK);
    await client.call('becomes', key, 'timeout');
    expect(await client.call('talk', other, TALK)).toEqual(shared(honest.pid));
    fake.kill('SIGCONT');
    expect(await talking).toMatchObject({ transport: 'tcp', pids: [fake.pid] });
  });

  test('and dies then: the connection ends as it does on TCP', async ({ start }) => {
    const { fake, client, honest, key, other } = await withFake(start, 'dies');
    const closing = client.call('closing', key);
    await fake.exited;
    expect(await closing).toBeUndefined();
    expect(await client.call('talk', other, TALK)).toEqual(shared(honest.pid));
  });
});

describe.concurrent('a peer that has switched and sends', () => {
  const garbage = [
    'a frame of negative length',
    'a frame that is larger than the ring',
    'a frame of no type that there is',
    'data before its turn',
    'a second confirmation',
    'a count of bytes that cannot be',
  ];

  test.for(garbage)('%s: its connection is reset, and no other', async (what, { start }) => {
    const { fake, client, honest, key, other } = await withFake(start, 'breaks');
    await client.call('becomes', key, 'shm');
    const closing = client.call('closing', key);
    await fake.call('breakRing', what);
    expect(await closing).toBe('ECONNRESET');
    expect(await client.call('talk', other, TALK)).toEqual(shared(honest.pid));
    const next = await client.call('connect', { port: await honest.call('listen') });
    await client.call('switched', next);
  });
});

describe.concurrent('a peer that is stopped while a connection is to switch', () => {
  test('takes too long: TCP has all when it goes on, and later it switches', async ({ start }) => {
    const [server, client] = await Promise.all([start(), start({ env: AUTO })]);
    const port = await server.call('listen');
    const linked = await client.call('connect', { port });
    await client.call('switched', linked);
    const key = await client.call('connect', { port });
    await client.call('talk', key, LITTLE);
    server.kill('SIGSTOP');
    const talking = client.call('talk', key, MORE);
    await client.call('becomes', key, 'timeout');
    server.kill('SIGCONT');
    expect((await talking).pids).toEqual([server.pid]);
    await client.call('switched', key);
    expect(await client.call('talk', key, TALK)).toEqual(shared(server.pid));
  });

  test('does not even greet: TCP has all when it goes on, and later it switches', async ({ start }) => {
    const [server, client] = await Promise.all([start(), start({ env: AUTO })]);
    const key = await client.call('connect', { port: await server.call('listen') });
    await client.call('talk', key, LITTLE);
    server.kill('SIGSTOP');
    const talking = client.call('talk', key, MORE);
    await client.call('becomes', key, 'peer');
    server.kill('SIGCONT');
    expect((await talking).pids).toEqual([server.pid]);
    await client.call('switched', key);
    expect(await client.call('talk', key, TALK)).toEqual(shared(server.pid));
  });

  test.for(['client', 'server'])(
    'and is killed then, being the %s: the other end sees what TCP shows',
    async (who, { start }) => {
      const outcomes = [];
      for (const SHMLOOP of ['off', 'on']) {
        const env = { ...AUTO, SHMLOOP };
        const [server, client] = await Promise.all([start({ env }), start({ env })]);
        const key = await client.call('connect', { port: await server.call('listen') });
        await client.call('talk', key, LITTLE);
        const [victim, survivor] = who === 'client' ? [client, server] : [server, client];
        if (who === 'server') server.kill('SIGSTOP');
        const talking = client.call('talk', key, MORE).then(
          () => 'ended',
          ({ code }) => code ?? 'killed',
        );
        if (who === 'server') await client.call('becomes', key, SHMLOOP === 'off' ? 'off' : 'negotiating');
        victim.kill('SIGKILL');
        await victim.exited;
        outcomes.push(who === 'client' ? undefined : await talking);
        await survivor.call('deserted');
      }
      expect(outcomes[1]).toEqual(outcomes[0]);
    },
  );
});
