/** A TCP client as anybody writes one: what it does with net-server.mjs, it times. */
import net from 'node:net';

const HOST = '127.0.0.1';

const methods = { open, rtt, oneway, connect };
/** @type {net.Socket} */
let socket;
/** @type {(chunk: Buffer) => void} */
let onData = () => {};

process.on('message', async ({ id, method, parameters }) => {
  process.send({ id, event: 'result', value: await methods[method](parameters) });
});
process.once('disconnect', () => process.exit());

/** @param {{ port: number }} parameters */
function open({ port }) {
  return new Promise((resolve) => {
    socket = net.connect({ host: HOST, port, noDelay: true }, () => resolve(undefined));
    socket.on('data', (chunk) => onData(chunk));
    socket.on('close', () => {
      throw new Error('the connection closed');
    });
  });
}

/**
 * Round trips, one outstanding: the next message follows at once.
 * @param {{ count: number, size: number }} batch
 */
function rtt({ count, size }) {
  const message = Buffer.alloc(size, 1);
  const latencies = new Float64Array(count);
  return new Promise((resolve) => {
    let replies = 0;
    let bytes = 0;
    const start = process.hrtime.bigint();
    let sent = start;
    const send = () => {
      message.writeUInt32LE(replies, size - 4);
      sent = process.hrtime.bigint();
      socket.write(message);
    };
    onData = (chunk) => {
      bytes += chunk.length;
      if (bytes < size) return;
      const now = process.hrtime.bigint();
      latencies[replies] = Number(now - sent);
      if (bytes > size || chunk.readUInt32LE(chunk.length - 4) !== replies)
        throw new Error('the reply is not the echo');
      bytes = 0;
      if (++replies === count) resolve({ elapsedNs: Number(now - start), ...percentiles(latencies) });
      else send();
    };
    send();
  });
}

/**
 * Messages one way; the server answers when it has all bytes.
 * @param {{ count: number, size: number }} batch
 */
function oneway({ count, size }) {
  const message = Buffer.alloc(size, 4);
  const first = Buffer.from(message);
  first.writeDoubleLE(count * size);
  return new Promise((resolve) => {
    const start = process.hrtime.bigint();
    onData = () => resolve({ elapsedNs: Number(process.hrtime.bigint() - start) });
    let left = count - 1;
    const send = () => {
      while (left > 0) {
        left--;
        if (!socket.write(message)) return socket.once('drain', send);
      }
    };
    if (socket.write(first)) send();
    else socket.once('drain', send);
  });
}

/**
 * Connections one after the other, each of which carries a message and its reply.
 * @param {{ count: number, size: number, port: number }} batch
 */
async function connect({ count, size, port }) {
  const message = Buffer.alloc(size, 1);
  const latencies = new Float64Array(count);
  const start = process.hrtime.bigint();
  for (let i = 0; i < count; i++) {
    const sent = process.hrtime.bigint();
    await exchange(port, message);
    latencies[i] = Number(process.hrtime.bigint() - sent);
  }
  return { elapsedNs: Number(process.hrtime.bigint() - start), ...percentiles(latencies) };
}

/**
 * @param {number} port
 * @param {Buffer} message
 * @returns {Promise<void>} once it is closed
 */
function exchange(port, message) {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    const connection = net.connect({ host: HOST, port, noDelay: true });
    connection.on('data', (chunk) => {
      bytes += chunk.length;
      if (bytes === message.length) connection.end();
    });
    connection.on('error', reject);
    connection.on('close', () => (bytes === message.length ? resolve() : reject(new Error('the reply is not whole'))));
    connection.write(message);
  });
}

/** @param {Float64Array} latencies nanoseconds */
function percentiles(latencies) {
  latencies.sort();
  const at = (/** @type {number} */ fraction) => latencies[Math.floor(latencies.length * fraction)] / 1e3;
  return { p50_us: at(0.5), p99_us: at(0.99) };
}
