/**
 * `npm run bench`: shmloop, what Node has, and the machine's limit, side by side.
 * See README.md here for what is measured and how.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compileLimits } from './harness/limits.mjs';
import { describeMachine } from './harness/machine.mjs';
import { measure } from './harness/measure.mjs';
import { killPeers } from './harness/peer-process.mjs';
import { CASES, makePlan, rotate } from './harness/plan.mjs';
import { formatRows, startProgress } from './harness/report.mjs';
import { summarize } from './harness/statistics.mjs';
import { TRANSPORTS } from './transports/index.mjs';

const FULL = {
  rounds: 5,
  warmUpMs: 300,
  measureMs: 600,
  parkedMs: 1500,
  settleMs: 1000,
  idleMs: 5000,
  budgetMs: Infinity,
};
const QUICK = {
  rounds: 3,
  warmUpMs: 80,
  measureMs: 150,
  parkedMs: 300,
  settleMs: 1000,
  idleMs: 5000,
  budgetMs: 82_000,
};

const HELP = `Usage: npm run bench -- [options]

  --quick            fewer rounds and shorter measurements: under 90 s
  --json FILE        write the document with all figures to FILE
  --case NAME        only this case (repeatable): ${CASES.join(', ')}
  --transport NAME   only this transport (repeatable):
                     ${Object.keys(TRANSPORTS).join(', ')}
  --rounds N         how often each measurement is taken (${FULL.rounds}; quick: ${QUICK.rounds}, as far as time allows)
  --help             this text
`;

/**
 * @typedef {import('./harness/plan.mjs').Group} Group
 * @typedef {import('./harness/plan.mjs').Run} Run
 * @typedef {import('./harness/measure.mjs').Times} Times
 * @typedef {import('./harness/measure.mjs').Measurement} Measurement
 * @typedef {import('./harness/report.mjs').Row} Row
 */

/** Thrown for a mistake on the command line. */
class UsageError extends Error {}

process.exitCode = await main().catch((error) => {
  killPeers();
  process.stderr.write(error instanceof UsageError ? `bench: ${error.message}\n\n${HELP}` : `bench: ${error.stack}\n`);
  return error instanceof UsageError ? 2 : 1;
});

/** @returns {Promise<number>} exit status */
async function main() {
  const options = readOptions();
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const { cases, transports, rounds, times, json } = options;
  const plan = makePlan(cases, transports);
  if (transports.some((name) => TRANSPORTS[name].sides === 'native')) await compileLimits();
  const directory = mkdtempSync(join(tmpdir(), 'shmloop-bench-'));
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
    process.once(signal, () => {
      killPeers();
      rmSync(directory, { recursive: true, force: true });
      process.exit(130);
    });
  }
  try {
    const machine = describeMachine({ options: { rounds, ...times } });
    const { rows, failures } = await runPlan(plan, rounds, times, directory);
    process.stdout.write(`${describe(machine)}\n${formatRows(rows)}\n`);
    if (json !== undefined) writeFileSync(json, `${JSON.stringify({ schema: 1, machine, rows }, null, 2)}\n`);
    for (const failure of failures) process.stderr.write(`bench: ${failure}\n`);
    return failures.length === 0 ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Takes round after round, each of which measures everything once.
 * @param {readonly Group[]} plan
 * @param {number} rounds
 * @param {Times} times
 * @param {string} directory
 */
async function runPlan(plan, rounds, times, directory) {
  const runsOf = (/** @type {number} */ round) => plan.filter((group) => round === 0 || !isOnce(group));
  const counts = Array.from({ length: rounds }, (_, round) => runsOf(round).flatMap(({ runs }) => runs).length);
  const progress = startProgress(counts.reduce((sum, count) => sum + count, 0));
  /** @type {Map<Run, Measurement[]>} */
  const results = new Map(plan.flatMap(({ runs }) => runs.map((run) => [run, []])));
  /** @type {string[]} */
  const failures = [];

  /** A run that failed once is not repeated, and reports nothing. */
  const take = async (/** @type {Group} */ { title }, /** @type {Run} */ run) => {
    try {
      if (results.has(run)) results.get(run)?.push(await measure(run, times, directory));
    } catch (error) {
      results.delete(run);
      failures.push(`${title}, ${run.transport}: ${/** @type {Error} */ (error).message}`);
    }
    progress.step(`${title} ${run.transport}`);
  };

  const start = performance.now();
  for (let round = 0; round < rounds; round++) {
    for (const group of runsOf(round)) {
      // Idle ones do not disturb each other, and are looked at from outside: all at once.
      if (isOnce(group)) await Promise.all(group.runs.map((run) => take(group, run)));
      else for (const run of rotate(group.runs, round)) await take(group, run);
    }
    const spent = performance.now() - start;
    if (spent + spent / (round + 1) > times.budgetMs) break;
  }
  progress.stop();
  return { rows: rowsOf(results).sort(byCase), failures };
}

/** @param {Group} group */
function isOnce({ title }) {
  return title === 'idle';
}

/**
 * @param {ReadonlyMap<Run, Measurement[]>} results
 * @returns {Row[]}
 */
function rowsOf(results) {
  return [...results].flatMap(([run, measurements]) => {
    const { medians, spread } = summarize(measurements);
    const size = run.kind === 'idle' ? {} : { size: run.size };
    return run.cases.map((name) => ({
      case: name,
      ...size,
      transport: run.transport,
      ...medians,
      rounds: measurements.length,
      spread,
    }));
  });
}

/**
 * @param {Row} a
 * @param {Row} b
 */
function byCase(a, b) {
  return CASES.indexOf(a.case) - CASES.indexOf(b.case) || (a.size ?? 0) - (b.size ?? 0);
}

/** @param {ReturnType<typeof describeMachine>} machine */
function describe({ cpu, cores, kernel, node }) {
  return `${cpu}, ${cores} cores, Linux ${kernel}, Node ${node}`;
}

/** @returns {{ cases: string[], transports: string[], rounds: number, times: Times, json?: string } | undefined} */
function readOptions() {
  const { values } = parse();
  if (values.help) return undefined;
  const { rounds: defaultRounds, ...times } = values.quick ? QUICK : FULL;
  const rounds = values.rounds === undefined ? defaultRounds : Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new UsageError(`--rounds takes a whole number, not ${values.rounds}`);
  return {
    cases: chosen('case', values.case, CASES),
    transports: chosen('transport', values.transport, Object.keys(TRANSPORTS)),
    rounds,
    times,
    json: values.json,
  };
}

function parse() {
  try {
    return parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'string' },
        case: { type: 'string', multiple: true },
        transport: { type: 'string', multiple: true },
        rounds: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(/** @type {Error} */ (error).message);
  }
}

/**
 * @param {string} option
 * @param {string[] | undefined} names
 * @param {readonly string[]} known
 */
function chosen(option, names, known) {
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UsageError(`no ${option} is called ${unknown}`);
  return known.filter((name) => names === undefined || names.includes(name));
}
