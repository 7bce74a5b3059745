import { describe, expect } from 'vitest';
import { type Start, shared, test } from './support.js';

const PARENT = new URL('fixtures/handing.mjs', import.meta.url);
const CLIENT = new URL('fixtures/streaming.mjs', import.meta.url);
const LENGTH = 3_000_000;
const AT = 1_000_000;
/** More than all buffers between two processes take. */
const LONG = 20_000_000;

describe.concurrent('a socket that goes to another process', () => {
  test('with pauseOnConnect and send: the child answers, and switches by itself', async ({ start }) => {
    const server = await start();
    const heir = await server.call('startHeir');
    const port = await server.call('listen', { pauseOnConnect: true });
    const client = await start();
    for (let i = 0; i < 4; i++) {
      const key = await client.call('connect', { port });
      await client.call('switched', key);
      expect(await client.call('talk', key, { length: 20_000 })).toEqual(shared(heir));
    }
    expect(await server.call('heir', 'accepted')).toEqual(Array(4).fill({ transport: 'shm' }));
  });

  test.for([4096, 65_536, 524_288, 4_194_304])(
    'in the middle of two streams, switched, rings of %d bytes: every byte comes, in order, at both ends',
    async (ring, { start }) => {
      const env = { SHMLOOP_RING_SIZE: String(ring) };
      const parent = await start({ program: PARENT, env });
      const client = await start({ program: CLIENT, env });
      const handed = parent.call('hand', { at: AT, length: LENGTH });
      const port = await parent.call('port');
      const streamed = client.call('stream', { port, length: LENGTH });
      const [received, { before, child, wasShared }] = await Promise.all([streamed, handed]);
      expect(received).toEqual({ length: LENGTH, wrongAt: -1 });
      expect(wasShared).toBe(true);
      expect(before).toBeGreaterThanOrEqual(AT);
      expect(child).toEqual({ length: LENGTH, wrongAt: -1 });
      expect(await client.call('downgrades')).toContain('moved');
    },
  );

  test.for([65_536, 8_388_608])(
    'and from there to another one at once, rings of %d bytes: what is unread goes with it',
    async (ring, { start }) => {
      const parent = await start({
        program: new URL('fixtures/relaying.mjs', import.meta.url),
        env: { SHMLOOP_RING_SIZE: String(ring) },
      });
      expect(await parent.call('relay', { length: AT })).toBe(AT);
    },
  );

  async function handAllFull(start: Start, SHMLOOP: string, heirs = SHMLOOP) {
    const env = { SHMLOOP };
    const [parent, client] = await Promise.all([start({ program: PARENT, env }), start({ program: CLIENT, env })]);
    const handed = parent.call('hand', { at: AT, length: LONG, isHeld: true, env: { SHMLOOP: heirs } });
    handed.catch(() => undefined);
    const streamed = client.call('stream', { port: await parent.call('port'), length: LONG });
    const stalled = client.call('stalled').then(() => parent.call('letGo'));
    stalled.catch(() => undefined);
    return { handed, streamed, stalled };
  }

  test.for(['off', 'on'])(
    'with the drop-in %s, when all that is on the way to it is full: every byte comes, in order',
    async (mode, { start }) => {
      const { handed, streamed, stalled } = await handAllFull(start, mode);
      const [{ child, wasShared }, received] = await Promise.all([handed, streamed, stalled]);
      expect(wasShared).toBe(mode === 'on');
      expect(child).toEqual({ length: LONG, wrongAt: -1 });
      expect(received).toEqual({ length: LONG, wrongAt: -1 });
    },
  );

  test('that has no drop-in, when TCP is ahead of the ring: a reset, and no wrong byte', async ({ start }) => {
    const { streamed } = await handAllFull(start, 'on', 'off');
    await expect(streamed).rejects.toThrow('ECONNRESET');
  });
});
