// Drives every export of the addon from the main thread and workers at once: the program that
// scripts/sanitize.mjs runs with an instrumented addon. `node stress.mjs <addon> <seconds>`
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect as connectTcp, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread, parentPort, threadId, Worker, workerData } from 'node:worker_threads';

const PAGE = 4096;
const CAPACITY = 4 * PAGE;
const REGION = PAGE + CAPACITY;
const STREAM_BYTES = 64 * CAPACITY;
const SEALS = { seal: 1, shrink: 2, grow: 4 };
const WRITERS = 3;
const PERIOD = 251;
const pattern = Buffer.alloc(2 * CAPACITY + PERIOD);
for (let i = 0; i < pattern.length; i++) pattern[i] = i % PERIOD;

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc');
if (!('transfer' in ArrayBuffer.prototype)) setFlagsFromString('--harmony-rab-gsab-transfer');
const transfer = runInNewContext('ArrayBuffer.prototype.transfer');

const called = new Set();

/** The addon, noting which of its exports were called, and throwing what they fail with. */
function loadAddon(path) {
  const addon = createRequire(import.meta.url)(path);
  const noted = {};
  for (const [name, value] of Object.entries(addon)) {
    const note =
      (action) =>
      (target, ...rest) => {
        called.add(name);
        const result = action(target, ...rest);
        if (result instanceof Error) throw result;
        return result;
      };
    noted[name] = new Proxy(value, { apply: note(Reflect.apply), construct: note(Reflect.construct) });
  }
  return noted;
}

function memoryAndErrors(addon) {
  const descriptor = addon.createMemory('stress', REGION);
  assert.equal(addon.inspectMemory(descriptor)[0], REGION);
  const ring = addon.mapRing(descriptor, PAGE, CAPACITY);
  const plain = addon.mapMemory(descriptor, REGION);
  const own = addon.mapMemory(descriptor, REGION, true);
  addon.hideMapping(ring);
  addon.showMapping(ring);
  assert.throws(() => addon.hideMapping(new ArrayBuffer(8)));
  addon.sealMemory(descriptor, SEALS.seal | SEALS.shrink | SEALS.grow);
  addon.populateMapping(ring, PAGE, CAPACITY);
  const mirrored = new Uint8Array(ring);
  mirrored[PAGE + CAPACITY + 7] = 42;
  assert.equal(new Uint8Array(plain)[PAGE + 7], 42);
  new Uint8Array(own)[PAGE + 7] = 43;
  assert.equal(new Uint8Array(plain)[PAGE + 7], 42);
  addon.remapMemory(own, descriptor, false);
  assert.equal(new Uint8Array(own)[PAGE + 7], 42);
  assert.throws(() => addon.remapMemory(new ArrayBuffer(8), descriptor, true));

  for (let length = 0; length < 600; length += 37) {
    const offset = length % 65;
    for (const copy of [addon.copy, addon.copyPastCache]) {
      const target = mirrored.subarray(PAGE + offset, PAGE + offset + length);
      target.fill(0);
      copy(mirrored, PAGE + offset, pattern, offset, length);
      assert.equal(Buffer.compare(target, pattern.subarray(offset, offset + length)), 0);
    }
  }
  const small = new Uint8Array(8);
  addon.copy(small, 8, small, 8, 0);
  assert.throws(() => addon.copy(small, 1, small, 0, 8));
  assert.throws(() => addon.copy(small, 0, small, 9, 0));
  assert.throws(() => addon.copy(small, -1, small, 0, 1));

  assert.equal(addon.futexWait(ring, 0, 1, 1000), true);
  assert.equal(addon.futexWait(ring, 0, 0, 1), false);
  assert.throws(() => addon.futexWait(ring, 2, 0, 1));
  assert.throws(() => addon.futexWake(ring, PAGE + 2 * CAPACITY));
  assert.throws(() => addon.futexWake(new ArrayBuffer(0), 0));
  assert.throws(() => addon.sealMemory(descriptor, SEALS.grow), { code: 'EPERM' });
  assert.throws(() => addon.populateMapping(ring, PAGE, 2 * CAPACITY + 1));
  assert.throws(() => addon.populateMapping(new ArrayBuffer(PAGE), 0, PAGE));
  assert.throws(() => addon.retireMapping(new ArrayBuffer(PAGE)));
  assert.throws(() => addon.mapMemory({}, PAGE));
  assert.throws(() => addon.mapMemory(Object.create(Object.getPrototypeOf(descriptor)), PAGE));
  assert.throws(() => new addon.Descriptor(1));
  assert.throws(() => new addon.Poll({}, () => {}));

  addon.retireMapping(ring);
  assert.equal(mirrored[PAGE + CAPACITY + 7], 0);
  mirrored.fill(1);
  addon.retireMapping(ring);
  const end = Math.random();
  if (end < 0.5) {
    addon.unmapMemory(plain);
    assert.equal(plain.byteLength, 0);
    assert.throws(() => addon.unmapMemory(plain));
  } else if (end < 0.75) {
    const moved = new Uint8Array(transfer.call(plain));
    assert.throws(() => addon.unmapMemory(plain));
    addon.retireMapping(plain);
    moved.fill(1);
  } else addon.retireMapping(plain);
  if (Math.random() < 0.5) return; // Left to the collector.
  descriptor.close();
  descriptor.close();
  assert.equal(descriptor.number, -1);
  assert.throws(() => addon.inspectMemory(descriptor), { code: 'EBADF' });
}

function namesAndLocks(addon, directory) {
  const name = `/shmloop-stress-${process.pid}-${threadId}`;
  const made = addon.createNamedMemory(name, PAGE);
  assert.throws(() => addon.createNamedMemory(name, PAGE), { code: 'EEXIST' });
  const opened = addon.openNamedMemory(name);
  assert.equal(addon.inspectMemory(opened)[3], process.geteuid());
  addon.unlinkNamedMemory(name);
  assert.throws(() => addon.openNamedMemory(name), { code: 'ENOENT' });
  assert.throws(() => addon.unlinkNamedMemory(name), { code: 'ENOENT' });
  made.close();
  opened.close();

  const lock = addon.lockDirectory(directory);
  if (lock !== null) {
    assert.equal(addon.lockDirectory(directory), null);
    lock.close();
  }
  assert.throws(() => addon.lockDirectory(`${directory}/none`), { code: 'ENOENT' });
}

/** Blocks of every size, written whole; the collector gives them back at its own time. */
function blocks(addon) {
  for (let length = 1; length <= 2 ** 22; length *= 2) {
    const block = addon.allocateBlock(length);
    assert.ok(block.byteLength >= length);
    new Uint8Array(block).fill(length & 255);
  }
  assert.equal(addon.allocateBlock(2 ** 22 + 1), null);
}

async function doorbells(addon) {
  const [listening, ringing] = addon.createDoorbell();
  assert.equal(addon.clearDoorbell(listening), false);
  const rung = await new Promise((resolve) => {
    const poll = new addon.Poll(listening, () => {
      poll.stop();
      const isRinging = addon.clearDoorbell(listening);
      poll.close();
      poll.close();
      poll.start();
      resolve(isRinging);
    });
    poll.unref();
    poll.ref();
    poll.start(true);
    poll.start();
    assert.equal(addon.ringDoorbell(ringing), true);
    // The poll holds the descriptor open for itself: the loop must never watch a number that is reused.
    if (Math.random() < 0.3) new addon.Poll(addon.createDoorbell()[0], () => {}).close();
  });
  assert.equal(rung, true);
  listening.close();
  ringing.close();
}

/** Makes a ring, passes it over a connection, and streams through it; blocks on the futex when it is full. */
async function deferrals(addon, isSoon) {
  const calls = [];
  // Collected, it would call nobody.
  let deferral;
  await new Promise((resolve) => {
    process.once('uncaughtException', (error) => calls.push(error.message));
    deferral = new addon.Deferral(() => {
      calls.push('called');
      addon.reportUncaught(new Error('reported'));
      setImmediate(resolve);
    }, isSoon);
    deferral.schedule();
    deferral.schedule();
  });
  assert.ok(deferral);
  assert.deepEqual(calls, ['called', 'reported']);
}

/** Immediates that do not keep the event loop alive have their turn, and need no event for it. */
async function idling(addon) {
  const idle = new addon.Idle();
  const alive = setTimeout(() => {}, 60_000);
  idle.start();
  idle.start();
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve).unref());
  idle.stop();
  idle.stop();
  clearTimeout(alive);
}

/** One connection, seen from both ends by the kernel. */
async function tcpIdentity(addon) {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const socket = connectTcp(port, '127.0.0.1');
  const [[accepted]] = await Promise.all([once(server, 'connection'), once(socket, 'connect')]);
  accepted.on('error', () => undefined);
  const { fd } = socket._handle;
  const loopback = Uint8Array.of(127, 0, 0, 1);
  assert.equal(addon.localPorts(fd), 65_536 * socket.localPort + port);
  const [cookie] = addon.inspectSocket(fd);
  addon.setPacingRate(fd, 2n ** 62n);
  const found = addon.diagnoseTcp(false, loopback, socket.localPort, loopback, port);
  assert.equal(found[3], cookie);
  assert.equal(found[4], 2n ** 62n);
  assert.equal(addon.diagnoseTcp(false, loopback, 1, loopback, 1), null);
  assert.throws(() => addon.diagnoseTcp(false, new Uint8Array(17), 1, loopback, 1));
  assert.ok(addon.countTcpBytes(fd));
  assert.equal(addon.isTcpClosed(fd), false);
  addon.resetOnClose(fd);
  socket.destroy();
  server.close();
  await once(server, 'close');
}

async function writer(addon, path) {
  const socket = await connect(addon, path);
  const region = addon.createMemory('stress', REGION);
  const [listening, doorbell] = addon.createDoorbell();
  const ring = addon.mapRing(region, PAGE, CAPACITY);
  addon.hideMapping(ring);
  const word = new Int32Array(ring, 0, 1);
  const bytes = new Uint8Array(ring);
  Atomics.store(word, 0, CAPACITY);
  while (!isGreeted(addon, socket)) await sleep(1);
  assert.throws(() => addon.sendMessage(socket, pattern, Array(5).fill(region)));
  assert.equal(addon.sendMessage(socket, Buffer.from('ring'), [region, listening]), true);
  region.close();
  listening.close();

  for (let position = 0; position < STREAM_BYTES; ) {
    const length = Math.min(1 + Math.floor(Math.random() ** 4 * CAPACITY), STREAM_BYTES - position);
    for (let seen = Atomics.load(word, 0); seen < length; seen = Atomics.load(word, 0)) {
      addon.futexWait(ring, 0, seen, 5);
      if (receive(addon, socket)?.[0] === 0) throw new Error('the reader is gone');
    }
    addon.copy(bytes, PAGE + (position % CAPACITY), pattern, position % PERIOD, length);
    Atomics.sub(word, 0, length);
    addon.ringDoorbell(doorbell);
    position += length;
  }
  while (Atomics.load(word, 0) < CAPACITY) addon.futexWait(ring, 0, Atomics.load(word, 0), 5);
  addon.unmapMemory(ring);
  doorbell.close();
  socket.close();
}

async function connect(addon, path) {
  for (;;) {
    try {
      return addon.connectUnix(path);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      await sleep(1);
    }
  }
}

function isGreeted(addon, socket) {
  const message = receive(addon, socket);
  return message !== null && message[0] === 5;
}

/** A victim that is terminated with unread bytes resets its connection: an end like another. */
function receive(addon, socket) {
  try {
    return addon.receiveMessage(socket, Buffer.alloc(16));
  } catch (error) {
    assert.equal(error.code, 'ECONNRESET');
    return [0];
  }
}

/** Reads whatever writers send: one ring for each connection. */
function serve(addon, path) {
  assert.throws(() => addon.listenUnix('x'.repeat(200), 1), { code: 'ENAMETOOLONG' });
  const listener = addon.listenUnix(path, 4);
  const open = new Set();
  let streams = 0;
  const poll = new addon.Poll(listener, () => {
    for (let socket = addon.acceptUnix(listener); socket !== null; socket = addon.acceptUnix(listener)) greet(socket);
  });
  poll.start();

  function greet(socket) {
    assert.notEqual(addon.socketInodes(socket)?.[0], addon.socketInodes(socket)?.[1]);
    assert.deepEqual(addon.peerCredentials(socket), [process.pid, process.geteuid(), process.getegid()]);
    assert.ok(addon.peerGroups(socket).every((group) => process.getgroups().includes(group)));
    addon.allowDescriptors(socket);
    try {
      addon.sendMessage(socket, Buffer.from('hello'), []);
    } catch (error) {
      assert.equal(error.code, 'EPIPE'); // A victim is gone already.
    }
    const events = new addon.Poll(socket, () => {
      const message = receive(addon, socket);
      if (message === null) return;
      if (message[0] === 0) return end();
      const [, region, doorbell] = message;
      assert.ok(addon.isPipe(doorbell) && !addon.isPipe(region));
      read(region, doorbell);
    });
    const mine = { close: end };
    let ring;
    let bell;
    open.add(mine);
    events.start(false);

    function read(region, doorbell) {
      ring = addon.mapRing(region, PAGE, CAPACITY);
      region.close();
      const word = new Int32Array(ring, 0, 1);
      const bytes = new Uint8Array(ring);
      const copied = Buffer.alloc(CAPACITY);
      let position = 0;
      bell = new addon.Poll(doorbell, () => {
        addon.clearDoorbell(doorbell);
        const length = CAPACITY - Atomics.load(word, 0);
        addon.copy(copied, 0, bytes, PAGE + (position % CAPACITY), length);
        const expected = pattern.subarray(position % PERIOD, (position % PERIOD) + length);
        assert.equal(Buffer.compare(copied.subarray(0, length), expected), 0, `wrong bytes at ${position}`);
        Atomics.add(word, 0, length);
        addon.futexWake(ring, 0);
        position += length;
        if (position === STREAM_BYTES) streams++;
      });
      bell.start();
    }

    function end() {
      if (!open.delete(mine)) return;
      bell?.close();
      events.close();
      socket.close();
      if (ring !== undefined) addon.retireMapping(ring);
    }
  }

  return {
    streams: () => streams,
    close() {
      poll.close();
      listener.close();
      for (const connection of open) connection.close();
    },
  };
}

/** Ends with everything open, when the parent terminates it. */
async function victim(addon, path) {
  const [listening, doorbell] = addon.createDoorbell();
  const kept = [addon.lockDirectory('/'), addon.mapRing(addon.createMemory('victim', REGION), PAGE, CAPACITY)];
  new addon.Poll(listening, () => {}).start();
  const socket = await connect(addon, path);
  new addon.Poll(socket, () => addon.receiveMessage(socket, Buffer.alloc(16))).start();
  for (;;) {
    addon.ringDoorbell(doorbell);
    addon.futexWait(kept[1], 0, 0, 1);
    await sleep(0);
  }
}

async function exercise(addon, { directory, path, until }) {
  for (let round = 0; Date.now() < until; round++) {
    memoryAndErrors(addon);
    namesAndLocks(addon, directory);
    blocks(addon);
    await doorbells(addon);
    await deferrals(addon, false);
    await deferrals(addon, true);
    await idling(addon);
    await tcpIdentity(addon);
    if (!isMainThread) await writer(addon, path);
    if (round % 8 === 0) gc();
    await sleep(0);
  }
}

async function terminateVictims(data) {
  let terminated = 0;
  for (; Date.now() < data.until; terminated++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { ...data, role: 'victim' } });
    worker.on('error', (error) => assert.fail(error));
    await new Promise((resolve) => worker.once('online', resolve));
    await sleep(Math.random() ** 4 * 30); // Often while it still loads the addon.
    await worker.terminate();
  }
  return terminated;
}

async function main([addonPath, seconds]) {
  const directory = mkdtempSync(join(tmpdir(), 'shmloop-stress-'));
  const data = { addonPath, directory, path: join(directory, 'socket'), until: Date.now() + seconds * 1000 };
  const addon = loadAddon(addonPath);
  const server = serve(addon, data.path);
  const workers = Array.from(
    { length: WRITERS },
    () =>
      new Promise((resolve, reject) => {
        const worker = new Worker(new URL(import.meta.url), { workerData: data });
        worker.on('message', (names) => {
          for (const name of names) called.add(name);
        });
        worker.on('error', reject);
        worker.on('exit', resolve);
      }),
  );
  const [terminated] = await Promise.all([terminateVictims(data), exercise(addon, data), ...workers]);
  server.close();
  rmSync(directory, { recursive: true });
  gc();
  const forgotten = Object.keys(addon).filter((name) => !called.has(name));
  assert.deepEqual(forgotten, [], 'exports that this program does not call');
  assert.ok(server.streams() >= WRITERS, 'too few streams arrived');
  console.log(`${called.size} exports, ${server.streams()} streams, ${terminated} workers terminated`);
}

if (isMainThread) {
  await main(process.argv.slice(2));
} else {
  const addon = loadAddon(workerData.addonPath);
  if (workerData.role === 'victim') await victim(addon, workerData.path);
  await exercise(addon, workerData);
  parentPort.postMessage([...called]);
}
