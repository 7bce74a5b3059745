import { describe, expect } from 'vitest';
import { type Program, shared, test } from './support.js';

const TALK = { rounds: 10, length: 5000 };

/** A port that the kernel gives to nobody by itself, so that it is free again. */
function portFor(program: Program): number {
  return 10_000 + (program.pid % 20_000);
}

/** Opens connections until one switches: what was found behind a port is believed for a while. */
async function connectUntilShared(client: Program, port: number, pid: number): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const key = await client.call('connect', { port });
    const state = await client.call('settle', key);
    expect(state.pids).toEqual([pid]);
    if (state.transport === 'shm') return;
    await client.call('finish', key);
    if (performance.now() > deadline) throw new Error(`still on TCP: ${state.reason}`);
  }
}

describe.concurrent('a port that is used again within a second', () => {
  test('by another client, for the very same addresses: it switches as itself', async ({ start }) => {
    const server = await start();
    const port = await server.call('listen');
    const clients = await Promise.all([start(), start()]);
    const localPort = portFor(clients[0] as Program);
    for (let i = 0; i < 6; i++) {
      const client = clients[i % 2] as Program;
      const key = await client.call('connect', { port, localPort });
      await client.call('switched', key);
      expect(await client.call('talk', key, TALK)).toEqual(shared(server.pid));
      expect(await server.call('accepted')).toEqual([{ transport: 'shm' }]);
      // Without a TIME_WAIT, which would keep the addresses.
      await client.call('finish', key, { isReset: true });
    }
  });

  test('by another server, for the very same addresses, after the first was killed', async ({ start }) => {
    const [first, second, client] = await Promise.all([start(), start(), start()]);
    const port = await first.call('listen');
    const localPort = portFor(client);
    const key = await client.call('connect', { port, localPort });
    await client.call('switched', key);
    await client.call('finish', key, { isReset: true });
    first.kill('SIGKILL');
    await first.exited;
    await second.call('listen', { port });
    const again = await client.call('connect', { port, localPort });
    expect((await client.call('switched', again)).pids).toEqual([second.pid]);
    expect(await client.call('talk', again, TALK)).toEqual(shared(second.pid));
  });

  test('by another server, after the first was killed: the next connections are its own', async ({ start }) => {
    const [first, second, client] = await Promise.all([start(), start(), start()]);
    const port = await first.call('listen');
    const key = await client.call('connect', { port });
    await client.call('switched', key);
    const closing = client.call('closing', key);
    first.kill('SIGKILL');
    await closing;
    await second.call('listen', { port });
    await connectUntilShared(client, port, second.pid);
  });

  test('by another server, while the first lives on: the next connections are its own', async ({ start }) => {
    const [first, second, client] = await Promise.all([start(), start(), start()]);
    const port = await first.call('listen');
    const key = await client.call('connect', { port });
    await client.call('switched', key);
    await first.call('closeServer');
    await second.call('listen', { port });
    await connectUntilShared(client, port, second.pid);
    expect(await client.call('talk', key, TALK)).toEqual(shared(first.pid));
  });
});
