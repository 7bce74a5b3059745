import { describe, expect, test } from 'vitest';
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
  say((server.address() as import('node:net').AddressInfo).port);
  await told();
}

describe.each(['shm', 'tcp'])('what a program wrote before its end arrives, over %s:', (transport) => {
  const isPreloaded = transport === 'shm';

  async function run<Args>(work: (tools: Tools<Args & { port: number; transport: string }>) => unknown, args: Args) {
    const server = await start(count, { isPreloaded });
    const port = await server.said<number>();
    const client = await start(work, { isPreloaded, args: { ...args, port, transport } });
    await client.ended;
    return server.said();
  }

  test.each([1, 1000, 100_000, 4 * 1024 * 1024])('%d bytes, then process.exit', async (total) => {
    const outcome = await run(
      async ({ net, once, pattern, until, transportOf, args }) => {
        const socket = net.connect(args.port, '127.0.0.1');
        await once(socket, 'connect');
        await until(() => transportOf(socket).transport === args.transport);
        socket.write(pattern(0, args.total));
        process.exit(0);
      },
      { total },
    );
    expect(outcome).toEqual({ received: total, isRight: true, error: undefined });
  });

  test.each([1, 1000, 100_000, 1_000_000])('%d bytes whose write completed, then SIGKILL', async (total) => {
    const outcome = await run(
      async ({ net, once, pattern, until, transportOf, args }) => {
        const socket = net.connect(args.port, '127.0.0.1');
        await once(socket, 'connect');
        await until(() => transportOf(socket).transport === args.transport);
        socket.write(pattern(0, args.total), () => process.kill(process.pid, 'SIGKILL'));
        await new Promise(() => {});
      },
      { total },
    );
    expect(outcome).toEqual({ received: total, isRight: true, error: undefined });
  });

  test('100,000 bytes, and SIGKILL before the call of write is over', async () => {
    const outcome = await run(async ({ net, once, pattern, until, transportOf, args }) => {
      const socket = net.connect(args.port, '127.0.0.1');
      await once(socket, 'connect');
      await until(() => transportOf(socket).transport === args.transport);
      socket.write(pattern(0, 100_000));
      process.kill(process.pid, 'SIGKILL');
    }, {});
    expect(outcome).toEqual({ received: 100_000, isRight: true, error: undefined });
  });
});

describe('a peer that reads late', () => {
  /** Reads nothing until it is told to. */
  async function readLate({ net, once, pattern, say, told, switched }: Tools) {
    const server = net.createServer({ pauseOnConnect: false });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    say((server.address() as import('node:net').AddressInfo).port);
    const [socket] = (await once(server, 'connection')) as [import('node:net').Socket];
    await switched(socket);
    socket.pause();
    say();
    await told();
    let received = 0;
    let isRight = true;
    socket.on('data', (data) => {
      isRight &&= data.equals(pattern(received, data.length));
      received += data.length;
    });
    socket.on('end', () => say({ received, isRight }));
    socket.resume();
    await told();
  }

  test('takes megabytes of completed writes, as TCP does, and gets them all', async () => {
    const server = await start(readLate);
    const port = await server.said<number>();
    const client = await start(
      async ({ net, once, pattern, delay, switched, say, told, args }: Tools<{ port: number }>) => {
        const socket = net.connect(args.port, '127.0.0.1');
        await once(socket, 'connect');
        await switched(socket);
        say();
        await told();
        let completed = 0;
        let sent = 0;
        let before = -1;
        // Until nothing has completed for a while: then everything is full.
        while (completed !== before) {
          before = completed;
          for (let i = 0; i < 64; i++) {
            socket.write(pattern(sent, 16_384), () => {
              completed += 16_384;
            });
            sent += 16_384;
          }
          await delay(200);
        }
        say({ completed });
        socket.end();
        await once(socket, 'finish');
        return sent;
      },
      { args: { port } },
    );
    await Promise.all([client.said(), server.said()]);
    client.tell();
    const { completed } = await client.said<{ completed: number }>();
    expect(completed).toBeGreaterThan(2_000_000);
    server.tell();
    expect(await server.said()).toEqual({ received: await client.result, isRight: true });
  });

  test('is no dead-lock where both ends write 3 MiB before they read', async () => {
    const size = 3 * 1024 * 1024;
    const server = await start(
      async ({ net, once, pattern, say, switched, args }: Tools<{ size: number }>) => {
        const server = net.createServer().listen(0, '127.0.0.1');
        await once(server, 'listening');
        say((server.address() as import('node:net').AddressInfo).port);
        const [socket] = (await once(server, 'connection')) as [import('node:net').Socket];
        await switched(socket);
        socket.pause();
        await new Promise((resolve) => socket.write(pattern(0, args.size), resolve));
        let received = 0;
        for await (const data of socket) {
          received += data.length;
          if (received >= args.size) break;
        }
        return received;
      },
      { args: { size } },
    );
    const port = await server.said<number>();
    const client = await start(
      async ({ net, once, pattern, switched, args }: Tools<{ size: number; port: number }>) => {
        const socket = net.connect(args.port, '127.0.0.1');
        await once(socket, 'connect');
        await switched(socket);
        socket.pause();
        await new Promise((resolve) => socket.write(pattern(0, args.size), resolve));
        let received = 0;
        for await (const data of socket) {
          received += data.length;
          if (received >= args.size) break;
        }
        return received;
      },
      { args: { size, port } },
    );
    expect(await client.result).toBe(size);
    expect(await server.result).toBe(size);
  });

  test('that is stopped leaves the writer responsive, and gets all once it goes on', async () => {
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
});
