import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { usePrograms } from '../../support/program.js';

type Main = typeof import('../../../src/index.js');
type Net = typeof import('../../../src/net/index.js');

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const startProgram = usePrograms();
let copy: string;

beforeAll(() => {
  // Beneath the project, where it finds what it depends on.
  copy = mkdtempSync(`${ROOT}build/copy-`);
  for (const part of ['package.json', 'dist', 'build/Release/shmloop.node']) {
    cpSync(ROOT + part, `${copy}/${part}`, { recursive: true });
  }
});
afterAll(() => rmSync(copy, { recursive: true }));

test.each([true, false])('two copies of this package leave the drop-in to the first (preloaded: %s)', async (first) => {
  const program = await startProgram(
    async ({ args, load, net, once, until }) => {
      const [one, other] = await Promise.all(args.map((root) => load<Net>(`${root}dist/net/index.js`)));
      const { configure } = await load<Main>(`${args[1]}dist/index.js`);
      const server = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const exchange = async (reached: string) => {
        const socket = net.connect(port, '127.0.0.1');
        socket.write('x');
        await once(socket, 'data');
        const both = () => [one, other].map(({ transportOf }) => transportOf(socket));
        await until(() => both().every(({ transport }) => transport === reached));
        socket.destroy();
      };
      await exchange('shm');
      configure({ net: { ports: `!${port}` } });
      await exchange('tcp');
      const stayed = net.connect(port, '127.0.0.1');
      await once(stayed, 'connect');
      return [one, other].map(({ transportOf }) => transportOf(stayed));
    },
    { args: [ROOT, `${copy}/`], isPreloaded: first },
  );
  const stays = { transport: 'tcp', reason: 'port' };
  expect(await program.result).toEqual([stays, stays]);
  await program.end();
});

test('two copies of this package talk to each other', async () => {
  const program = await startProgram(
    async ({ args, load, once }) => {
      const [{ bind }, { connect }] = await Promise.all(args.map((root) => load<Main>(`${root}dist/index.js`)));
      const server = await bind(`copies-${process.pid}`);
      server.on('channel', (channel: import('../../../src/index.js').Channel) => channel.handle((data) => `${data}!`));
      const channel = await connect(`copies-${process.pid}`);
      const reply = `${await channel.request('both')}`;
      const closed = once(channel, 'close');
      await channel.end();
      await closed;
      await server.close();
      return reply;
    },
    { args: [ROOT, `${copy}/`], isPreloaded: false },
  );
  expect(await program.result).toBe('both!');
});
