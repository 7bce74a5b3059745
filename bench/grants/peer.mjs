/** One side of a measurement: `node peer.mjs TRANSPORT KIND SIZE`. */
import { answerCalls } from '../harness/calls.mjs';
import { cpuStamp, nowNs } from '../harness/usage.mjs';
import { workOf } from './work.mjs';

const [transport, kind, sizeText] = process.argv.slice(2);
const size = Number(sizeText);
const module = await import(transport === 'tcp' ? './tcp.mjs' : './region.mjs');
const work = workOf(/** @type {import('./work.mjs').Kind} */ (kind), size);

/** Messages since the beginning, and bytes of the one that is being received. */
let number = 0;
let at = 0;
let last = 0;
let finish = () => {};
/** @type {(error: unknown) => void} */
let fail = () => {};
/** @type {(write: (buffer: Buffer) => void) => Promise<void>} */
let send;

/** @param {Buffer} chunk */
function take(chunk) {
  try {
    for (let from = 0; from < chunk.length; ) {
      const piece = chunk.subarray(from, from + size - at);
      work.read(piece, at, number);
      from += piece.length;
      at += piece.length;
      if (at < size) continue;
      at = 0;
      if (++number === last) finish();
    }
  } catch (error) {
    fail(error);
  }
}

answerCalls({
  async listen() {
    const { address, receive } = await module.serve(size);
    receive(take).catch((/** @type {unknown} */ error) => fail(error));
    return address;
  },

  async dial({ address }) {
    send = await module.dial(address, size);
  },

  async receive({ count }, { ready }) {
    const before = cpuStamp();
    last = number + count;
    await new Promise((resolve, reject) => {
      finish = () => resolve(undefined);
      fail = reject;
      ready().catch(reject);
    });
    return { endNs: nowNs(), cpu: { before, after: cpuStamp() } };
  },

  async send({ count }) {
    const before = cpuStamp();
    const startNs = nowNs();
    for (let i = 0; i < count; i++, number++) await send((buffer) => work.write(buffer, number));
    return { startNs, cpu: { before, after: cpuStamp() } };
  },
});
