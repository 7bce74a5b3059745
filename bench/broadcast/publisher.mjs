/** One that sends the same messages to all readers: through one region, or over TCP to each. `publisher.mjs tcp|shmloop` */
import net from 'node:net';
import { publish } from 'shmloop';
import { answerCalls } from '../harness/calls.mjs';
import { nowNs } from '../harness/usage.mjs';

const HOST = '127.0.0.1';
/** Messages between turns of the event loop, where nothing waits: readers are to hear before the end. */
const TURN = 64;

/**
 * @typedef {object} Publisher
 * @property {(message: Buffer) => boolean} send
 * @property {() => Promise<unknown>} drained
 * @property {() => Promise<unknown>} close
 */

const OPEN = { tcp: openTcp, shmloop: openRegion };
/** @type {Publisher} */
let publisher;

answerCalls({
  open: async ({ readers }, { ready }) => {
    publisher = await OPEN[process.argv[2]](readers, ready);
  },
  send: ({ count, size }) => sendAll(count, Buffer.alloc(size, 1)),
  close: () => publisher.close(),
});

/**
 * @param {number} count
 * @param {Buffer} message
 */
async function sendAll(count, message) {
  const startNs = nowNs();
  for (let i = 0; i < count; i++) {
    if (!publisher.send(message)) await publisher.drained();
    else if (i % TURN === 0) await new Promise(setImmediate);
  }
  return { startNs };
}

/**
 * @param {number} readers
 * @param {() => Promise<void>} ready
 */
async function openRegion(readers, ready) {
  const opened = await publish('bench', { policy: 'block', timeout: Number.POSITIVE_INFINITY });
  await ready();
  while (opened.subscribers < readers) await new Promise((resolve) => opened.once('join', resolve));
  return opened;
}

/**
 * @param {number} readers
 * @param {() => Promise<void>} ready
 * @returns {Promise<Publisher>}
 */
async function openTcp(readers, ready) {
  /** @type {net.Socket[]} */
  const sockets = [];
  const server = net.createServer({ noDelay: true }, (socket) => void sockets.push(socket));
  await new Promise((resolve) => server.listen(Number(process.argv[3]), HOST, () => resolve(undefined)));
  await ready();
  while (sockets.length < readers) await new Promise((resolve) => server.once('connection', resolve));
  const isFull = (/** @type {net.Socket} */ socket) => socket.writableNeedDrain;
  return {
    send: (message) => {
      let hasRoom = true;
      for (const socket of sockets) if (!socket.write(message)) hasRoom = false;
      return hasRoom;
    },
    drained: () =>
      Promise.all(sockets.filter(isFull).map((socket) => new Promise((resolve) => socket.once('drain', resolve)))),
    close: async () => {
      for (const socket of sockets) socket.end();
      server.close();
    },
  };
}
