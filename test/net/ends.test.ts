import type { AddressInfo, Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { type Tools, usePrograms } from '../support/program.js';

const start = usePrograms();

/** What an end of a connection sees, in order. */
type Log = unknown[];
type End = (socket: Socket, tools: Tools<never>) => unknown;

interface Scenario {
  name: string;
  /** What the accepting end does, once both are where they are to be. */
  server: End;
  client: End;
  allowHalfOpen?: boolean;
  isCrossing?: boolean;
}

const quiet: End = (socket) => socket.resume();

const scenarios: Scenario[] = [
  {
    name: 'end with data, answered',
    server: (socket) => socket.on('end', () => socket.end('bye')).resume(),
    client: (socket) => socket.end('hello'),
    allowHalfOpen: true,
  },
  { name: 'end, with allowHalfOpen false at both', server: quiet, client: (socket) => socket.end('x'.repeat(100_000)) },
  {
    name: 'half open: the answer is long',
    server: (socket) => socket.on('end', () => socket.end('y'.repeat(2_000_000))).resume(),
    client: (socket) => socket.end('q'),
    allowHalfOpen: true,
  },
  { name: 'destroy at one end', server: quiet, client: (socket) => socket.destroy() },
  { name: 'destroy with an error', server: quiet, client: (socket) => socket.destroy(new Error('mine')) },
  {
    name: 'destroySoon after writes',
    server: quiet,
    client: (socket) => {
      socket.write('abc');
      socket.destroySoon();
    },
  },
  { name: 'resetAndDestroy', server: quiet, client: (socket) => socket.resetAndDestroy() },
  {
    name: 'resetAndDestroy after data that was read',
    server: (socket) => socket.on('data', () => socket.resetAndDestroy()).resume(),
    client: (socket) => socket.resume().write('go'),
  },
  {
    name: 'both end at once',
    isCrossing: true,
    server: (socket) => socket.resume().end('s'),
    client: (socket) => socket.resume().end('c'),
  },
  {
    name: 'strings in every encoding',
    server: (socket) => socket.setEncoding('hex').resume(),
    client: (socket) => {
      socket.write('ä€😀', 'utf8');
      socket.write('äé', 'latin1');
      socket.write('äé', 'ucs2');
      socket.write('6162', 'hex');
      socket.write('YWI=', 'base64');
      socket.end('ab', 'ascii');
    },
  },
  {
    name: 'corked writes of buffers and strings',
    server: quiet,
    client: (socket) => {
      socket.cork();
      for (let i = 0; i < 100; i++) socket.write(i % 2 ? `text ${i}` : Buffer.from(`buffer ${i}`));
      socket.uncork();
      socket.end();
    },
  },
  {
    name: 'write after the peer has gone',
    server: (socket) => socket.destroy(),
    client: async (socket, { until }) => {
      socket.resume();
      await until(() => socket.readableEnded);
      await until(() => {
        socket.write('x');
        return socket.errored !== null;
      });
    },
    allowHalfOpen: true,
  },
  {
    name: 'a time-out of a quiet socket',
    server: quiet,
    client: (socket) => socket.setTimeout(50).on('timeout', () => socket.destroy()),
  },
  {
    name: 'write after end',
    server: quiet,
    client: (socket) => {
      socket.end('a');
      socket.write('b');
    },
  },
  {
    name: 'data unread at destroy',
    server: async (socket, { until }) => {
      await until(() => socket.bytesRead > 0);
      socket.destroy();
    },
    client: (socket) => socket.resume().write('unread'),
  },
];

async function play(scenario: Scenario, transport: 'shm' | 'tcp'): Promise<{ server: Log; client: Log }> {
  const isPreloaded = transport === 'shm';
  const { name: _, server: serve, client: talk, allowHalfOpen = false } = scenario;
  const server = await start(
    async (tools: Tools<{ transport: string; allowHalfOpen: boolean; act: string }>) => {
      const { net, once, say, told, until, transportOf, logOf, args } = tools;
      const server = net.createServer({ allowHalfOpen: args.allowHalfOpen }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      say((server.address() as AddressInfo).port);
      const [socket] = (await once(server, 'connection')) as [Socket];
      await until(() => transportOf(socket).transport === args.transport);
      const { log, closed } = logOf(socket);
      socket.pause();
      say();
      await told();
      await new Function(`return (${args.act})`)()(socket, tools);
      await closed;
      return log;
    },
    { isPreloaded, args: { transport, allowHalfOpen, act: serve.toString() } },
  );
  const port = await server.said<number>();
  const client = await start(
    async (tools: Tools<{ transport: string; allowHalfOpen: boolean; act: string; port: number }>) => {
      const { net, once, say, told, until, transportOf, logOf, args } = tools;
      const socket = net.connect({ port: args.port, host: '127.0.0.1', allowHalfOpen: args.allowHalfOpen });
      await once(socket, 'connect');
      await until(() => transportOf(socket).transport === args.transport);
      const { log, closed } = logOf(socket);
      socket.on('finish', () => log.push('finish'));
      // It must not hear of what the other end does before its own turn.
      socket.pause();
      say();
      await told();
      socket.resume();
      await new Function(`return (${args.act})`)()(socket, tools);
      await closed;
      return log;
    },
    { isPreloaded, args: { transport, allowHalfOpen, act: talk.toString(), port } },
  );
  await Promise.all([server.said(), client.said()]);
  server.tell();
  client.tell();
  return { server: await server.result, client: await client.result };
}

describe('a switched connection ends as one on TCP does:', () => {
  test.each(scenarios)('$name', async (scenario) => {
    const [tcp, shm] = [await play(scenario, 'tcp'), await play(scenario, 'shm')];
    // Where both end, each hears of the other's end sooner or later than of its own.
    if (scenario.isCrossing) for (const log of [tcp, shm].flatMap(Object.values)) log.sort();
    expect(shm).toEqual(tcp);
  });
});
