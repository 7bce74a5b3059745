/** A TCP server as anybody writes one: one port sends back what comes, the other one counts bytes. */
import net from 'node:net';

const HOST = '127.0.0.1';
const ANSWER = Buffer.from('!');
/** A batch starts with its own length, a double. */
const LENGTH_BYTES = 8;

const methods = { listen };

process.on('message', async ({ id, method, parameters }) => {
  process.send({ id, event: 'result', value: await methods[method](parameters) });
});
process.once('disconnect', () => process.exit());

/** @returns {Promise<{ echo: number, count: number }>} the ports */
async function listen() {
  const [echo, count] = await Promise.all([sendBack, countBytes].map(serve));
  return { echo, count };
}

/**
 * @param {(socket: net.Socket) => void} onConnection
 * @returns {Promise<number>} its port
 */
function serve(onConnection) {
  return new Promise((resolve) => {
    const server = net.createServer({ noDelay: true }, onConnection);
    server.listen(0, HOST, () => resolve(server.address().port));
  });
}

/** @param {net.Socket} socket */
function sendBack(socket) {
  socket.on('data', (chunk) => socket.write(chunk));
}

/** @param {net.Socket} socket */
function countBytes(socket) {
  let head = Buffer.alloc(0);
  let left = 0;
  socket.on('data', (chunk) => {
    if (left === 0) {
      head = Buffer.concat([head, chunk]);
      if (head.length < LENGTH_BYTES) return;
      left = head.readDoubleLE() - head.length;
      head = Buffer.alloc(0);
    } else {
      left -= chunk.length;
    }
    if (left === 0) socket.write(ANSWER);
  });
}
