/** `npm run bench -- grants`: messages in a region of shared memory, against loopback TCP. */
import { LARGEST_BATCH, LEAD_IN, warmUp } from './measure.mjs';
import { PeerProcess } from './peer-process.mjs';
import { formatRows } from './report.mjs';
import { cpuOfSpans, watchOthers } from './usage.mjs';

const PEER = new URL('../grants/peer.mjs', import.meta.url);
const CASES = ['handover', 'compare'];
const TRANSPORTS = ['grants', 'tcp'];
const SIZES = [64 << 10, 1 << 20];
/** Messages are large here: these warm up as well as thousands of small ones. */
const WARM_UP_MESSAGES = 1000;

/**
 * @typedef {{ transport: string, kind: string, size: number, cases: string[] }} GrantsRun
 * @typedef {import('./measure.mjs').Measurement} Measurement
 */

/** @type {import('./run.mjs').Suite} */
export const suite = {
  usage: 'npm run bench -- grants [options]',
  cases: CASES,
  transports: TRANSPORTS,
  format: formatRows,
  prepare,

  makePlan: (cases, transports) =>
    cases.flatMap((name) =>
      SIZES.map((size) => ({
        title: `${name} ${size}`,
        runs: /** @type {any} */ (transports.map((transport) => ({ transport, kind: name, size, cases: [name] }))),
      })),
    ),

  /** Ratios within each round: a disturbance hits both. */
  compare(results) {
    for (const [run, measurements] of results) {
      const baseline = [...results.keys()].find(
        ({ transport, kind, size }) => transport === 'tcp' && kind === run.kind && size === run.size,
      );
      const others = baseline && results.get(baseline);
      if (others === undefined) continue;
      measurements.forEach((measurement, round) => {
        if (others[round] !== undefined) measurement.times_tcp = measurement.msgs_per_s / others[round].msgs_per_s;
      });
    }
  },
};

/**
 * @param {GrantsRun} run
 * @param {import('./measure.mjs').Times} times
 */
async function prepare({ transport, kind, size }, times) {
  const start = (/** @type {string} */ role) =>
    new PeerProcess(PEER, [transport, kind, String(size)], `${transport} ${role}`);
  const receiver = start('receiver');
  const sender = start('sender');
  const kill = () => {
    receiver.kill();
    sender.kill();
  };
  try {
    const address = await receiver.call('listen').result;
    await sender.call('dial', { address }).result;
    const runBatch = async (/** @type {number} */ count) => {
      const receiving = receiver.call('receive', { count });
      await receiving.ready;
      const [sent, received] = await Promise.all([sender.call('send', { count }).result, receiving.result]);
      return { elapsedMs: (received.endNs - sent.startNs) / 1e6, spans: [sent.cpu, received.cpu] };
    };
    const count = await warmUp(runBatch, times, LARGEST_BATCH.oneway, WARM_UP_MESSAGES);
    const measure = async () => {
      await runBatch(Math.ceil(count * LEAD_IN));
      const othersShare = watchOthers([receiver.pid, sender.pid]);
      const { elapsedMs, spans } = await runBatch(count);
      const perSecond = (count * 1e3) / elapsedMs;
      return {
        msgs_per_s: perSecond,
        gb_per_s: (perSecond * size) / 1e9,
        cpu_us_per_msg: cpuOfSpans(spans) / count,
        others_cpu: othersShare(),
      };
    };
    return { measure, close: async () => kill(), kill };
  } catch (error) {
    kill();
    throw error;
  }
}
