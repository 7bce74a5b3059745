/** One of many readers. It counts bytes, and looks at the first and the last of what it gets. `reader.mjs tcp|shmloop` */
import { once } from 'node:events';
import net from 'node:net';
import { subscribe } from 'shmloop';
import { answerCalls } from '../harness/calls.mjs';
import { nowNs } from '../harness/usage.mjs';

const OPEN = { tcp: openTcp, shmloop: openRegion };
/** @type {(chunk: Buffer) => void} */
let take = () => {};
/** @type {() => unknown} */
let close = () => {};

answerCalls({
  open: async () => {
    close = await OPEN[process.argv[2]]((chunk) => take(chunk));
  },
  receive: ({ bytes }, { ready }) => receive(bytes, ready),
  close: () => close(),
});

/**
 * @param {number} bytes
 * @param {() => Promise<void>} ready
 */
async function receive(bytes, ready) {
  let left = bytes;
  const received = new Promise((resolve) => {
    take = (chunk) => {
      if (chunk[0] !== 1 || chunk[chunk.length - 1] !== 1) throw new Error('that was not sent');
      left -= chunk.length;
      if (left === 0) resolve(undefined);
    };
  });
  await ready();
  await received;
  return { endNs: nowNs() };
}

/** @param {(chunk: Buffer) => void} onMessage */
async function openRegion(onMessage) {
  const subscription = await subscribe('bench');
  subscription.on('message', onMessage);
  return () => subscription.close();
}

/** @param {(chunk: Buffer) => void} onData */
async function openTcp(onData) {
  const socket = net.connect(Number(process.argv[3]), '127.0.0.1');
  socket.on('data', onData);
  await once(socket, 'connect');
  return () => socket.end();
}
