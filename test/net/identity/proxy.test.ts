import { describe, expect } from 'vitest';
import { type Answer, onTcp, shared, test } from './support.js';

const PROXY = new URL('fixtures/proxy.mjs', import.meta.url);
const TALK = { rounds: 30, length: 10_000 };
/** What the two ends of a talk send: heads included. */
const TALK_BYTES = 30 * (8 + 12 + 2 * 10_000);

describe.concurrent('a proxy between two programs', () => {
  test('without the drop-in: both stay on TCP, and no byte is lost', async ({ start }) => {
    const server = await start();
    const proxy = await start({ program: PROXY, preload: false });
    const client = await start();
    const port = await proxy.call('forward', await server.call('listen'));
    const key = await client.call('connect', { port });
    expect(await client.call('settle', key)).toEqual(onTcp('peer', server.pid));
    expect(await client.call('talk', key, TALK)).toEqual(onTcp('peer', server.pid));
    expect(await server.call('accepted')).toEqual([{ transport: 'tcp', reason: 'unasked' }]);
  });

  test('without the drop-in, on the same port of another address: neither end takes the other for its peer', async ({
    start,
  }) => {
    const server = await start();
    const proxy = await start({ program: PROXY, preload: false });
    const client = await start();
    const port = await server.call('listen');
    await proxy.call('forward', port, { host: '127.0.0.2', port });
    const key = await client.call('connect', { port, host: '127.0.0.2' });
    expect(await client.call('settle', key)).toEqual(onTcp('timeout', server.pid));
    expect(await client.call('talk', key, TALK)).toEqual(onTcp('timeout', server.pid));
    expect(await server.call('accepted')).toEqual([{ transport: 'tcp', reason: 'unasked' }]);
  });

  test.for([{}, { host: '127.0.0.2' }])(
    'with it (%o): each leg switches with the proxy itself, through which every byte goes',
    async (where, { start }) => {
      const server = await start();
      const proxy = await start({ program: PROXY });
      const client = await start();
      const target = await server.call('listen');
      const port = await proxy.call('forward', target, 'host' in where ? { ...where, port: target } : {});
      const key = await client.call('connect', { port, ...where });
      await client.call('switched', key);
      await proxy.call('allShared');
      const before: Answer = await proxy.call('forwarded');
      expect(await client.call('talk', key, TALK)).toEqual(shared(server.pid));
      expect((await proxy.call('forwarded')).bytes - before.bytes).toBe(TALK_BYTES);
      expect(await proxy.call('transports')).toEqual(Array(2).fill({ transport: 'shm' }));
    },
  );
});
