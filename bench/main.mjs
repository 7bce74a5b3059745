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
import { prepare } from './harness/measure.mjs';
import { killPeers } from './harness/peer-process.mjs';
import { CASES, makePlan, rotate } from './harness/plan.mjs';
import { formatRows, startProgress } from './harness/report.mjs';
import { summarize } from './harness/statistics.mjs';
import { TRANSPORTS } from './transports/index.mjs';

const FULL = {
  rounds: 7,
  warmUpMs: 300,
  longestWarmUpMs: 1500,
  measureMs: 500,
  parkedMs: 1500,
  // By then timers of the set-up have run out, and V8 has reduced its heap, which it does some 8 s after work.
  settleMs: 11_000,
  idleMs: 5000,
  budgetMs: Number.POSITIVE_INFINITY,
};
const QUICK = {
  rounds: 3,
  warmUpMs: 80,
  longestWarmUpMs: 400,
  measureMs: 150,
  parkedMs: 300,
  // By then timers of the set-up have run out, and V8 has reduced its heap, which it does some 8 s after work.
  settleMs: 11_000,
  idleMs: 5000,
  budgetMs: 75_000,
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
 * @typedef {import('./harness/measure.mjs').Prepared} Prepared
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
 * @param {readonly Group[]} plan
 * @param {number} rounds
 * @param {Times} times
 * @param {string} directory
 */
async function runPlan(plan, rounds, times, directory) {
  const roundsOf = (/** @type {Group} */ group) => (isIdle(group) ? 1 : rounds);
  const progress = startProgress(plan.reduce((sum, group) => sum + group.runs.length * (2 + roundsOf(group)), 0));
  /** @type {Map<Run, Measurement[]>} */
  const results = new Map();
  /** @type {string[]} */
  const failures = [];
  const start = performance.now();
  for (const [index, group] of plan.entries()) {
    const isTimeShort = () => performance.now() - start > (times.budgetMs * (index + 1)) / plan.length;
    /** @type {Map<Run, Prepared>} */
    const prepared = new Map();
    /** A run that failed is not repeated, and reports nothing. */
    const attempt = async (/** @type {Run} */ run, /** @type {() => Promise<unknown>} */ step) => {
      try {
        await step();
      } catch (error) {
        prepared.get(run)?.kill();
        prepared.delete(run);
        results.delete(run);
        failures.push(`${group.title}, ${run.transport}: ${/** @type {Error} */ (error).message}`);
      }
      progress.step(`${group.title} ${run.transport}`);
    };
    const take = (/** @type {Run} */ run) =>
      attempt(run, async () => results.get(run)?.push(await /** @type {Prepared} */ (prepared.get(run)).measure()));

    for (const run of group.runs) {
      await attempt(run, async () => {
        prepared.set(run, await prepare(run, times, directory));
        results.set(run, []);
      });
    }
    for (let round = 0; round < roundsOf(group) && (round === 0 || !isTimeShort()); round++) {
      const runs = rotate(group.runs, round).filter((run) => prepared.has(run));
      // Idle ones do not disturb each other, and are looked at from outside: all at once.
      if (isIdle(group)) await Promise.all(runs.map(take));
      else for (const run of runs) await take(run);
    }
    for (const [run, { close }] of prepared) await attempt(run, close);
  }
  progress.stop();
  return { rows: rowsOf(results).sort(byCase), failures };
}

/** @param {Group} group */
function isIdle({ title }) {
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
