import { describe, expect } from 'vitest';
import { type Answer, canRun, freePort, type Program, shared, test } from './support.js';

const CLUSTER = new URL('fixtures/cluster.mjs', import.meta.url);
const hasPython = canRun('python3', '--version');
const CONNECTIONS = 12;
const SOCKET = 10;
/** Binds and listens on a port with others, and goes on as Node. */
const REUSE = `
import os, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(('127.0.0.1', int(sys.argv[1])))
os.dup2(s.fileno(), ${SOCKET})
s.close()
os.execvp(sys.argv[2], sys.argv[2:])`;

/** Opens connections, and checks that one process has each: the one whose answers come through shared memory. */
async function pidsOf(client: Program, port: number, count = CONNECTIONS): Promise<number[]> {
  const pids = Array.from({ length: count }, async () => {
    const key = await client.call('connect', { port });
    const [pid] = (await client.call('switched', key)).pids;
    expect(await client.call('talk', key, { length: 3000 })).toEqual(shared(pid));
    return pid;
  });
  return Promise.all(pids);
}

describe.concurrent('listeners of one port in several processes', () => {
  test.skipIf(!hasPython)(
    'with SO_REUSEPORT: each connection switches with the one that the kernel gave it to',
    async ({ start }) => {
      const port = await freePort();
      const wrap = ['python3', '-c', REUSE, String(port)];
      const servers = await Promise.all([start({ wrap }), start({ wrap }), start({ wrap })]);
      for (const server of servers) await server.call('listen', { fd: SOCKET });
      const client = await start();
      const pids = await pidsOf(client, port);
      for (const server of servers) {
        const own = pids.filter((pid) => pid === server.pid);
        expect(await server.call('accepted')).toEqual(own.map(() => ({ transport: 'shm' })));
      }
      expect(new Set(pids).size).toBeGreaterThan(1);
    },
  );

  test.skipIf(!hasPython)(
    'with SO_REUSEPORT, one without the drop-in: its connections stay on TCP, the others switch',
    async ({ start }) => {
      const port = await freePort();
      const wrap = ['python3', '-c', REUSE, String(port)];
      const [server, plain] = await Promise.all([start({ wrap }), start({ wrap, preload: false })]);
      for (const each of [server, plain]) await each.call('listen', { fd: SOCKET });
      const client = await start();
      const states = await Promise.all(
        Array.from({ length: CONNECTIONS }, async () => client.call('settle', await client.call('connect', { port }))),
      );
      const expected = (state: Answer) =>
        state.pids[0] === server.pid
          ? shared(server.pid)
          : { transport: 'tcp', reason: 'timeout', isShared: false, pids: [plain.pid] };
      expect(states).toEqual(states.map(expected));
      expect(new Set(states.map(({ pids }) => pids[0])).size).toBe(2);
    },
  );

  test('which a child inherited as a descriptor: it switches by itself', async ({ start }) => {
    const server = await start();
    const port = await server.call('listen');
    const heir = await server.call('startHeir', { descriptor: true });
    await server.call('heir', 'listen', { fd: 4 });
    await server.call('closeServer');
    expect(new Set(await pidsOf(await start(), port))).toEqual(new Set([heir]));
    expect(await server.call('accepted')).toEqual([]);
  });

  test('which a child got by a message, and its parent keeps: whoever accepts switches', async ({ start }) => {
    const server = await start();
    const port = await server.call('listen');
    const heir = await server.call('startHeir');
    await server.call('giveServer');
    const pids = await pidsOf(await start(), port, 20);
    expect([server.pid, heir]).toEqual(expect.arrayContaining([...new Set(pids)]));
    expect(await server.call('accepted')).toHaveLength(pids.filter((pid) => pid === server.pid).length);
    expect(await server.call('heir', 'accepted')).toHaveLength(pids.filter((pid) => pid === heir).length);
  });

  test.for(['rr', 'none'])(
    'of a cluster, policy %s: each connection switches with its worker',
    async (policy, { start }) => {
      const program = await start({ program: CLUSTER, env: { NODE_CLUSTER_SCHED_POLICY: policy } });
      const { port, pids } = await program.call('workers');
      const found = await pidsOf(await start(), port);
      expect(pids).toEqual(expect.arrayContaining([...new Set(found)]));
      if (policy === 'rr') expect(new Set(found)).toEqual(new Set(pids));
    },
  );
});
