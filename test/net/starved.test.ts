import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { type Tools, usePrograms } from '../support/program.js';

const start = usePrograms();
const MOST = 200_000;

interface Wanted {
  /** Of the server; a server has none yet. */
  port?: number | undefined;
  most: number;
}

/** Awaits one small write after the other: as long as TCP takes them its event loop does not turn. */
async function write({ net, once, say, transportOf, args }: Tools<Wanted>) {
  const stream = async (socket: import('node:net').Socket) => {
    let writes = 0;
    while (writes < args.most && transportOf(socket).transport !== 'shm') {
      await new Promise((resolve) => socket.write('x', resolve));
      writes++;
    }
    say(writes);
    socket.end();
  };
  if (args.port === undefined) {
    const server = net.createServer(stream).listen(0, '127.0.0.1');
    await once(server, 'listening');
    say((server.address() as AddressInfo).port);
  } else {
    const socket = net.connect(args.port, '127.0.0.1');
    await once(socket, 'connect');
    await stream(socket);
  }
  await new Promise(() => {});
}

async function read({ net, once, say, args }: Tools<Wanted>) {
  const count = async (socket: import('node:net').Socket) => {
    let bytes = 0;
    for await (const chunk of socket) bytes += chunk.length;
    say(bytes);
  };
  if (args.port === undefined) {
    const server = net.createServer(count).listen(0, '127.0.0.1');
    await once(server, 'listening');
    say((server.address() as AddressInfo).port);
  } else {
    await count(net.connect(args.port, '127.0.0.1'));
  }
  await new Promise(() => {});
}

test.each(['client', 'server'])('a %s that awaits one write after the other switches', async (writer) => {
  const env = { SHMLOOP_UPGRADE: 'auto' };
  const [server, client] = writer === 'client' ? ([read, write] as const) : ([write, read] as const);
  const listening = await start(server, { env, args: { most: MOST } as Wanted });
  const port = await listening.said<number>();
  const connected = await start(client, { env, args: { port, most: MOST } as Wanted });
  const [first, second] = await Promise.all([listening.said<number>(), connected.said<number>()]);
  expect(second).toBe(first);
  expect(first).toBeLessThan(MOST);
});
