import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Tools, usePrograms } from '../support/program.js';

const start = usePrograms();

/** Echoes what comes, and says what carried it. */
async function echo({ net, say, transportOf }: Tools<{ host?: string } | undefined>) {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.pipe(socket);
    socket.on('end', () => say({ ...transportOf(socket), read: socket.bytesRead, written: socket.bytesWritten }));
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  say((server.address() as import('node:net').AddressInfo).port);
  await new Promise(() => {});
}

/** Sends a pattern in pieces of many sizes, checks what comes back, and tells what carried it. */
async function exchange({
  net,
  once,
  pattern,
  switched,
  transportOf,
  args,
}: Tools<{ port: number; total: number; doesSwitch?: boolean }>) {
  const socket = net.connect(args.port, '127.0.0.1');
  let sent = 0;
  let received = 0;
  let wrong = -1;
  socket.on('data', (data) => {
    if (wrong < 0 && !data.equals(pattern(received, data.length))) wrong = received;
    received += data.length;
  });
  await once(socket, 'connect');
  for (let i = 0; sent < args.total; i++) {
    const length = Math.min(args.total - sent, 1 + ((i * 7919) % 90_000));
    if (!socket.write(pattern(sent, length))) await once(socket, 'drain');
    sent += length;
    if (i === 20 && args.doesSwitch) await switched(socket);
  }
  const { transport } = transportOf(socket);
  socket.end();
  await once(socket, 'end');
  return { wrong, received, transport, read: socket.bytesRead, written: socket.bytesWritten };
}

const TOTAL = 3_000_000;
const whole = { wrong: -1, received: TOTAL, read: TOTAL, written: TOTAL };

describe.each(['auto', 'eager'])('two programs, %s', (upgrade) => {
  test.each([4096, 65_536, 262_144, 4_194_304])('switch, and lose no byte, with rings of %d bytes', async (size) => {
    const env = { SHMLOOP_UPGRADE: upgrade, SHMLOOP_RING_SIZE: String(size) };
    const server = await start(echo, { env });
    const port = await server.said<number>();
    const client = await start(exchange, { env, args: { port, total: TOTAL, doesSwitch: true } });
    expect(await client.result).toEqual({ ...whole, transport: 'shm' });
    expect(await server.said()).toEqual({ transport: 'shm', read: TOTAL, written: expect.any(Number) });
  });
});

describe('a connection stays on TCP, and loses no byte,', () => {
  async function run(serverOptions: object, clientOptions: { env?: NodeJS.ProcessEnv }) {
    const server = await start(echo, serverOptions);
    const port = await server.said<number>();
    const client = await start(exchange, { ...clientOptions, args: { port, total: TOTAL } });
    return client.result;
  }

  test('when the server does not have the drop-in', async () => {
    expect(await run({ isPreloaded: false }, {})).toEqual({ ...whole, transport: 'tcp' });
  });

  test('when the client does not have it', async () => {
    expect(await run({}, { isPreloaded: false } as object)).toEqual({ ...whole, transport: 'tcp' });
  });

  test.each(['SHMLOOP=off', 'SHMLOOP_PORTS=1-2', 'SHMLOOP_MEMORY=1', 'SHMLOOP_UPGRADE=soon'])(
    'by %s of the server',
    async (text) => {
      const [name, value] = text.split('=') as [string, string];
      expect(await run({ env: { [name]: value } }, {})).toEqual({ ...whole, transport: 'tcp' });
    },
  );

  test.each(['SHMLOOP=off', 'SHMLOOP_PORTS=1-2', 'SHMLOOP_MEMORY=1', 'SHMLOOP_UPGRADE=soon'])(
    'by %s of the client',
    async (text) => {
      const [name, value] = text.split('=') as [string, string];
      expect(await run({}, { env: { [name]: value } })).toEqual({ ...whole, transport: 'tcp' });
    },
  );

  test.runIf(process.geteuid?.() === 0)('when the client is another user', async () => {
    const options = { uid: 65_533, env: { XDG_RUNTIME_DIR: '' } };
    expect(await run({}, options)).toEqual({ ...whole, transport: 'tcp' });
  });
});

test('each process says at its end what it did', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'shmloop-summary-'));
  const env = { SHMLOOP_SUMMARY: join(directory, 'summary') };
  try {
    const server = await start(echo, { env });
    const port = await server.said<number>();
    const client = await start(
      async ({ net, once, switched, args }: Tools<{ port: number }>) => {
        const socket = net.connect(args.port, '127.0.0.1');
        await switched(socket);
        socket.write('x'.repeat(1000));
        await once(socket, 'data');
        socket.destroy();
        await once(socket, 'close');
        process.exit();
      },
      { env, args: { port } },
    );
    await client.ended;
    const [line] = readFileSync(env.SHMLOOP_SUMMARY, 'utf8').split('\n');
    const { pid, switched, tcp, bytesShm, bytesTcp } = JSON.parse(line as string);
    expect({ pid, switched, tcp, bytesTcp }).toEqual({ pid: client.pid, switched: 1, tcp: 0, bytesTcp: 0 });
    expect(bytesShm).toBe(2000);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
