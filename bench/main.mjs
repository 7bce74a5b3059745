/**
 * `npm run bench`: shmloop, what Node has, and the machine's limit, side by side.
 * `npm run bench -- dropin`: programs as they are, with and without the preload.
 * `npm run bench -- broadcast`: one writer to many readers, against TCP to each.
 * `npm run bench -- grants`: messages in regions of shared memory, against loopback TCP.
 * See README.md here for what is measured and how.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { suite as broadcastSuite } from './harness/broadcast-suite.mjs';
import { suite as dropinSuite } from './harness/dropin-suite.mjs';
import { suite as grantsSuite } from './harness/grants-suite.mjs';
import { describeMachine } from './harness/machine.mjs';
import { killPeers } from './harness/peer-process.mjs';
import { runPlan } from './harness/run.mjs';
import { suite as transportsSuite } from './harness/transports-suite.mjs';

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

/**
 * @typedef {import('./harness/measure.mjs').Times} Times
 * @typedef {import('./harness/run.mjs').Suite} Suite
 */

/** Thrown for a mistake on the command line. */
class UsageError extends Error {}

const args = process.argv.slice(2);
/** By sub-command. @type {Record<string, Suite>} */
const suites = { broadcast: broadcastSuite, dropin: dropinSuite, grants: grantsSuite };
const named = Object.hasOwn(suites, args[0] ?? '') ? suites[args[0]] : undefined;
const suite = named ?? transportsSuite;

process.exitCode = await main(named === undefined ? args : args.slice(1)).catch((error) => {
  killPeers();
  process.stderr.write(
    error instanceof UsageError ? `bench: ${error.message}\n\n${help()}` : `bench: ${error.stack}\n`,
  );
  return error instanceof UsageError ? 2 : 1;
});

/**
 * @param {string[]} args
 * @returns {Promise<number>} exit status
 */
async function main(args) {
  const options = readOptions(args);
  if (options === undefined) {
    process.stdout.write(help());
    return 0;
  }
  const { cases, transports, rounds, times, json } = options;
  const plan = suite.makePlan(cases, transports);
  await suite.setUp?.(transports);
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
    const { rows, failures } = await runPlan(suite, plan, rounds, times, directory);
    process.stdout.write(`${describe(machine)}\n${suite.format(rows)}\n`);
    if (json !== undefined) writeFileSync(json, `${JSON.stringify({ schema: 1, machine, rows }, null, 2)}\n`);
    for (const failure of failures) process.stderr.write(`bench: ${failure}\n`);
    return failures.length === 0 ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function help() {
  return `Usage: ${suite.usage}

  --quick            fewer rounds and shorter measurements: under 90 s
  --json FILE        write the document with all figures to FILE
  --case NAME        only this case (repeatable): ${suite.cases.join(', ')}
  --transport NAME   only this transport (repeatable):
                     ${suite.transports.join(', ')}
  --rounds N         how often each measurement is taken (${FULL.rounds}; quick: ${(suite.quick ?? QUICK).rounds}, as far as time allows)
  --help             this text
`;
}

/** @param {ReturnType<typeof describeMachine>} machine */
function describe({ cpu, cores, kernel, node }) {
  return `${cpu}, ${cores} cores, Linux ${kernel}, Node ${node}`;
}

/**
 * @param {string[]} args
 * @returns {{ cases: string[], transports: string[], rounds: number, times: Times, json?: string } | undefined}
 */
function readOptions(args) {
  const { values } = parse(args);
  if (values.help) return undefined;
  const { rounds: defaultRounds, ...times } = values.quick ? { ...QUICK, ...suite.quick } : FULL;
  const rounds = values.rounds === undefined ? defaultRounds : Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new UsageError(`--rounds takes a whole number, not ${values.rounds}`);
  return {
    cases: chosen('case', values.case, suite.cases),
    transports: chosen('transport', values.transport, suite.transports),
    rounds,
    times,
    json: values.json,
  };
}

/** @param {string[]} args */
function parse(args) {
  try {
    return parseArgs({
      args,
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
