import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { type Tools, usePrograms } from '../support/program.js';

const start = usePrograms();

/** Says its port, and at the end of each connection how much came, whether it was right, and how it ended. */
async function count({ net, say, pattern, told }: Tools) {
  const server = net.createServer((socket) => {
    let received = 0;
    let isRight = true;
    let error: string | undefined;
    socket.on('data', (data) => {
      isRight &&= data.equals(pattern(received, data.length));
      received += data.length;
    });
    socket.on('error', (reason: NodeJS.ErrnoException) => {
      error = reason.code;
    });
    socket.on('close', () => say({ received, isRight, error }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  say((server.address() as AddressInfo).port);
  await told();
}

test('a stopped peer leaves the writer responsive, and gets all once it goes on', async () => {
  const server = await start(count);
  const port = await server.said<number>();
  const client = await start(
    async ({ net, once, pattern, switched, say, delay, args }: Tools<{ port: number }>) => {
      const socket = net.connect(args.port, '127.0.0.1');
      await once(socket, 'connect');
      await switched(socket);
      say();
      let sent = 0;
      let longest = 0;
      for (let i = 0; i < 100; i++) {
        const started = performance.now();
        socket.write(pattern(sent, 100_000));
        sent += 100_000;
        await delay(1);
        longest = Math.max(longest, performance.now() - started);
      }
      say(longest);
      socket.end();
      await once(socket, 'finish');
      return sent;
    },
    { args: { port } },
  );
  await client.said();
  server.kill('SIGSTOP');
  expect(await client.said<number>()).toBeLessThan(1000);
  server.kill('SIGCONT');
  expect(await server.said()).toEqual({ received: await client.result, isRight: true, error: undefined });
});
