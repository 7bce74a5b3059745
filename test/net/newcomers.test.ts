import type { AddressInfo, Socket } from 'node:net';
import { expect, test } from 'vitest';
import { type Tools, usePrograms } from '../support/program.js';

const start = usePrograms();
/** Fewer and more than are left unlooked at. */
const FEW = 3;
const MANY = 150;
const env = { SHMLOOP_UPGRADE: 'auto' };

/** Echoes, and says what carries its connections when it is asked; when it has all it may stop to listen. */
async function serve({ net, once, say, told, transportOf, args }: Tools<{ count: number; closes: boolean }>) {
  const sockets: Socket[] = [];
  const server = net.createServer((socket) => sockets.push(socket.pipe(socket))).listen(0, '127.0.0.1');
  await once(server, 'listening');
  say((server.address() as AddressInfo).port);
  while (sockets.length < args.count) await once(server, 'connection');
  const before = sockets.map((socket) => transportOf(socket));
  if (args.closes) server.close();
  say(before);
  await told();
  return sockets.map((socket) => transportOf(socket).transport);
}

/** Opens connections, and uses them when it is told to, one after the other. */
async function use({ net, once, say, told, switched, args }: Tools<{ port: number; count: number }>) {
  const sockets = Array.from({ length: args.count }, () => net.connect(args.port, '127.0.0.1'));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  say();
  await told();
  for (const socket of sockets) {
    for (let i = 0; i < 10; i++) {
      socket.write('x');
      await once(socket, 'data');
    }
    await switched(socket);
    socket.write('y');
    const [echo] = await once(socket, 'data');
    if (String(echo) !== 'y') throw new Error(`echo ${echo}`);
  }
}

test.each([
  { count: FEW, closes: true },
  { count: MANY, closes: true },
  { count: MANY, closes: false },
])('$count connections that did nothing for long switch; their server stops to listen: $closes', async (args) => {
  const { count } = args;
  const server = await start(serve, { env, args });
  const client = await start(use, { env, args: { port: await server.said<number>(), count } });
  await client.said();
  expect(await server.said()).toEqual(Array(count).fill({ transport: 'tcp', reason: 'unasked' }));
  client.tell();
  await client.result;
  server.tell();
  expect(await server.result).toEqual(Array(count).fill('shm'));
});
