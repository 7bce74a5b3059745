/** The table on stdout, and progress on a terminal. */
import cliProgress from 'cli-progress';
import Table from 'cli-table3';
import { median } from './statistics.mjs';

const BASELINE = 'tcp';
/** Of all CPU time; what others may use before the figures are in doubt. */
const DISTURBANCE = 0.1;

/**
 * @typedef {object} Row as in the JSON document
 * @property {string} case
 * @property {number} [size]
 * @property {string} transport
 * @property {number} [p50_us]
 * @property {number} [p99_us]
 * @property {number} [msgs_per_s]
 * @property {number} [gb_per_s]
 * @property {number} [cpu_us_per_msg]
 * @property {number} [lo_ratio] bytes on the loopback device, of the payload's
 * @property {number} [connections]
 * @property {number} [times_tcp] how many times better than TCP in the same round
 * @property {number} [cpu_times_tcp]
 * @property {number} [others_cpu] share of all CPU time, 0 to 1
 * @property {number} [context_switches]
 * @property {number} [cpu_us]
 * @property {number} rounds
 * @property {Record<string, [min: number, max: number]>} spread
 */

/** @typedef {[head: string, cell: (row: Row, rows: readonly Row[]) => string]} Column */

/** @type {Column[]} */
const FIGURES = [
  ['p50 µs', (row) => format(row.p50_us)],
  ['p99 µs', (row) => format(row.p99_us)],
  ['msg/s', (row) => format(row.msgs_per_s)],
  ['GB/s', (row) => format(row.gb_per_s)],
  ['CPU µs/msg', (row) => format(row.cpu_us_per_msg)],
];
/** @type {Column} */
const RATIO = ['× tcp', (row, rows) => formatRatio(ratioToBaseline(row, rows))];
/** @type {Column} */
const SPREAD = ['spread', formatSpread];
/** @type {Column[]} */
const BY_ROUND = [
  SPREAD,
  ['CPU × tcp', (row) => formatRatio(row.cpu_times_tcp)],
  ['× tcp', (row) => formatRatio(row.times_tcp)],
  ['in rounds', (row) => (row.spread.times_tcp ?? []).map(formatRatio).join('..')],
];
/** @type {Column[]} */
const DROPIN = [['lo', (row) => format(row.lo_ratio)], ...BY_ROUND];

/**
 * @param {readonly Row[]} rows
 * @returns {string}
 */
export function formatRows(rows) {
  return formatTables(rows, [...FIGURES, RATIO, SPREAD]);
}

/**
 * The same, and how much of the payload went over the loopback device.
 * @param {readonly Row[]} rows
 * @returns {string}
 */
export function formatDropinRows(rows) {
  return formatTables(rows, [...FIGURES, ...DROPIN]);
}

/**
 * With ratios to TCP in the same round.
 * @param {readonly Row[]} rows
 * @returns {string}
 */
export function formatBroadcastRows(rows) {
  return formatTables(rows, [...FIGURES, ...BY_ROUND]);
}

/**
 * @param {readonly Row[]} rows
 * @param {readonly Column[]} columns
 */
function formatTables(rows, columns) {
  const messages = rows.filter((row) => row.case !== 'idle');
  const idle = rows.filter((row) => row.case === 'idle');
  const tables = [];
  if (messages.length > 0) tables.push(messageTable(messages, columns));
  if (idle.length > 0) tables.push(idleTable(idle));
  const others = messages.flatMap(({ others_cpu = [] }) => others_cpu);
  if (others.length > 0 && median(others) > DISTURBANCE) {
    const percent = Math.round(median(others) * 100);
    tables.push(
      `Others used ${percent} % of the machine meanwhile: the figures say little. Run it on a quiet machine.`,
    );
  }
  return tables.join('\n');
}

/**
 * How many times better than TCP: lower latency at `rtt`, higher rate elsewhere.
 * @param {Row} row
 * @param {readonly Row[]} rows
 * @returns {number | undefined}
 */
export function ratioToBaseline(row, rows) {
  const baseline = baselineOf(row, rows);
  if (baseline === undefined) return undefined;
  if (isLatency(row) && row.p50_us !== undefined && baseline.p50_us !== undefined) return baseline.p50_us / row.p50_us;
  if (row.msgs_per_s !== undefined && baseline.msgs_per_s !== undefined) return row.msgs_per_s / baseline.msgs_per_s;
  return undefined;
}

/**
 * A bar on stderr; nothing where that is no terminal.
 * @param {number} total
 */
export function startProgress(total) {
  if (!process.stderr.isTTY) return { step: () => {}, stop: () => {} };
  const bar = new cliProgress.SingleBar({
    format: '{bar} {value}/{total} {what}',
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    barsize: 30,
  });
  bar.start(total, 0, { what: '' });
  return {
    step: (/** @type {string} */ what) => bar.increment(1, { what }),
    stop: () => bar.stop(),
  };
}

/**
 * @param {readonly Row[]} rows
 * @param {readonly Column[]} columns
 */
function messageTable(rows, columns) {
  const table = new Table({
    head: ['case', 'size', 'transport', ...columns.map(([head]) => head)],
    colAligns: ['left', 'right', 'left', ...columns.map(() => /** @type {const} */ ('right'))],
    style: { head: [], border: [], compact: true },
  });
  let before = '';
  for (const row of rows) {
    const group = `${row.case} ${row.size}`;
    const isNew = group !== before;
    if (isNew && before !== '') table.push([]);
    before = group;
    const names = [isNew ? row.case : '', isNew ? formatSize(row.size) : '', row.transport];
    table.push([...names, ...columns.map(([, cell]) => cell(row, rows))]);
  }
  return table.toString();
}

/** @param {readonly Row[]} rows */
function idleTable(rows) {
  const table = new Table({
    head: ['case', 'transport', 'context switches', 'CPU µs'],
    colAligns: ['left', 'left', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) table.push(['idle', row.transport, format(row.context_switches), format(row.cpu_us)]);
  return table.toString();
}

/**
 * @param {Row} row
 * @param {readonly Row[]} rows
 */
function baselineOf(row, rows) {
  return rows.find((other) => other.transport === BASELINE && other.case === row.case && other.size === row.size);
}

/**
 * Whether it is about time rather than rate.
 * @param {Row} row
 */
function isLatency(row) {
  return row.case.startsWith('rtt');
}

/** @param {number | undefined} bytes */
function formatSize(bytes) {
  if (bytes === undefined) return '';
  if (bytes >= 1 << 20) return `${bytes >> 20} MiB`;
  return bytes >= 1 << 10 ? `${bytes >> 10} KiB` : `${bytes} B`;
}

/** @param {number | undefined} value */
function format(value) {
  if (value === undefined) return '';
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  if (value >= 1e4) return `${Math.round(value / 1e3)} k`;
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** @param {number | undefined} ratio */
function formatRatio(ratio) {
  return ratio === undefined ? '' : ratio.toPrecision(3);
}

/**
 * Lowest to highest of the rounds, relative to the median of what the ratio is about.
 * @param {Row} row
 */
function formatSpread(row) {
  const field = isLatency(row) ? 'p50_us' : 'msgs_per_s';
  const middle = row[field];
  const range = row.spread[field];
  if (middle === undefined || range === undefined) return '';
  const [low, high] = range.map((value) => Math.round((value / middle - 1) * 100));
  return `${low}..+${high} %`;
}
