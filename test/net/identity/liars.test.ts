import { describe, expect } from 'vitest';
import { canUnshare, freePort, NAMESPACE, onTcp, type Start, shared, test } from './support.js';

const LIAR = new URL('fixtures/liar.mjs', import.meta.url);
const ON = { SHMLOOP_CHALLENGE: 'on' };
const TALK = { length: 20_000 };
/** More names than a client looks past. */
const GAP = 5;

/** Somebody else's connection to a server, who would never propose by itself, and a connection of the liar's kind. */
async function scene(start: Start) {
  const [server, holder, liar] = await Promise.all([start(), start({ preload: false }), start(liarOptions)]);
  const port = await server.call('listen');
  const key = await holder.call('connect', { port });
  await holder.call('talk', key);
  const own = await holder.call('portOf', key);
  const descriptor = await holder.call('descriptorOf', key);
  return { server, holder, liar, port, key, own, descriptor };
}
const liarOptions = { program: LIAR, preload: false };

describe.concurrent("who claims another's connection", () => {
  test('as the one who connected, with all that is true of it: the server declines', async ({ start }) => {
    const { server, holder, liar, port, key, own, descriptor } = await scene(start);
    const answer = await liar.call('propose', { own, port, descriptor });
    expect(answer).toEqual({ kind: 'decline', reason: 'identity' });
    expect(await server.call('accepted')).toEqual([{ transport: 'tcp', reason: 'unasked' }]);
    expect(await holder.call('talk', key, TALK)).toMatchObject({ isShared: false, pids: [server.pid] });
  });

  test('by any descriptor of its own: the server declines each', async ({ start }) => {
    const { liar, port, own } = await scene(start);
    for (let descriptor = 0; descriptor < 40; descriptor++) {
      expect(await liar.call('propose', { own, port, descriptor })).toEqual({ kind: 'decline', reason: 'identity' });
    }
  });

  test('as the one who accepted, with all that is true of it: the client does not switch', async ({ start }) => {
    const [server, liar, client] = await Promise.all([start({ preload: false }), start(liarOptions), start()]);
    const port = await server.call('listen');
    const first = await start({ preload: false });
    await first.call('talk', await first.call('connect', { port }));
    const [descriptor] = await server.call('acceptedDescriptors');
    // Numbers go up by one: the next is the client's.
    await liar.call('agree', { port, descriptor: descriptor + 1 });
    const key = await client.call('connect', { port });
    expect(await client.call('settle', key)).toEqual(onTcp('identity', server.pid));
    expect(await server.call('acceptedDescriptors')).toContain(descriptor + 1);
    expect(await client.call('talk', key, TALK)).toEqual(onTcp('identity', server.pid));
    expect(await liar.call('opened')).toBe(0);
  });

  test.skipIf(!canUnshare(NAMESPACE.pid))(
    'as the one who accepted, unseen, and says that it is marked: the client does not switch',
    async ({ start }) => {
      const unseen = { ...liarOptions, wrap: NAMESPACE.pid };
      const seeing = { env: ON, wrap: NAMESPACE.pid };
      const [server, liar, client] = await Promise.all([start({ preload: false }), start(unseen), start(seeing)]);
      const port = await server.call('listen');
      await liar.call('agree', { port, descriptor: 20, marks: true });
      const key = await client.call('connect', { port });
      expect(await client.call('settle', key)).toEqual(onTcp('identity', server.pid));
      expect(await liar.call('heard')).toContainEqual({ kind: 'challenge' });
      expect(await liar.call('opened')).toBe(0);
    },
  );

  test.skipIf(!canUnshare(NAMESPACE.pid))(
    'and has the true holder answer the challenge: the mark is for another link, and all declines',
    async ({ start }) => {
      const options = { env: ON, wrap: NAMESPACE.pid };
      const [server, client] = await Promise.all([start(options), start(options)]);
      const liar = await start({ ...liarOptions, wrap: NAMESPACE.pid });
      const port = await freePort();
      await liar.call('squat', port, GAP);
      await server.call('listen', { port });
      await liar.call('release');
      await liar.call('relay', { port, name: GAP });
      const key = await client.call('connect', { port });
      expect(await client.call('settle', key)).toEqual(onTcp('declined', server.pid));
      const heard = await liar.call('heard');
      // It was asked, it was answered by the true holder, and it did not help.
      const kinds = heard.map(({ kind }: { kind: string }) => kind);
      expect(kinds.slice(0, 4)).toEqual(['propose', 'challenge', 'marked', 'decline']);
      expect(heard[3].reason).toBe('identity');
      expect(await client.call('talk', key, TALK)).toEqual(onTcp('declined', server.pid));
      expect(await server.call('accepted')).toEqual([{ transport: 'tcp', reason: 'unasked' }]);
    },
  );

  test.skipIf(!canUnshare(NAMESPACE.pid))(
    'and agrees in the place of the true holder, whom it has answer the challenge: the client does not switch',
    async ({ start }) => {
      const options = { env: ON, wrap: NAMESPACE.pid };
      const [server, client, liar, port] = await Promise.all([
        start(options),
        start(options),
        start(liarOptions),
        freePort(),
      ]);
      await liar.call('squat', port, GAP);
      await server.call('listen', { port });
      await liar.call('release');
      await liar.call('relay', { port, name: GAP, agrees: true });
      const key = await client.call('connect', { port });
      expect(await client.call('settle', key)).toEqual(onTcp('identity', server.pid));
      expect(await client.call('talk', key, TALK)).toEqual(onTcp('identity', server.pid));
      // Each was asked for the other's mark.
      const heard = await liar.call('heard');
      expect(heard.filter(({ kind }: { kind: string }) => kind === 'challenge')).toHaveLength(2);
      expect(await server.call('accepted')).toEqual([{ transport: 'tcp', reason: 'unasked' }]);
    },
  );

  test('is no trouble for the true holder, who switches meanwhile', async ({ start }) => {
    const [server, liar, client] = await Promise.all([start(), start(liarOptions), start()]);
    const port = await server.call('listen');
    const key = await client.call('connect', { port });
    await client.call('switched', key);
    const own = await client.call('portOf', key);
    const descriptor = await client.call('descriptorOf', key);
    const lies = liar.call('propose', { own, port, descriptor }).catch(() => 'no answer');
    expect(await client.call('talk', key, { ...TALK, rounds: 200 })).toEqual(shared(server.pid));
    liar.kill('SIGKILL');
    expect(await lies).toBe('no answer');
  });
});
