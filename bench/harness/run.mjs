/** Carries out a plan: what is compared takes turns, round by round, and within a round. */
import { rotate } from './plan.mjs';
import { startProgress } from './report.mjs';
import { summarize } from './statistics.mjs';

/**
 * What one sub-command measures, and how.
 * @typedef {object} Suite
 * @property {string} usage
 * @property {readonly string[]} cases
 * @property {readonly string[]} transports
 * @property {Partial<Times> & { rounds: number }} [quick] in place of the usual quick times
 * @property {number} [turns] of each measurement in a round, of which its figure is the median; 1
 * @property {(cases: readonly string[], transports: readonly string[]) => Group[]} makePlan
 * @property {(transports: readonly string[]) => Promise<unknown>} [setUp] before anything is measured
 * @property {(run: any, times: Times, directory: string) => Promise<Prepared>} prepare
 * @property {(taken: ReadonlyMap<Run, Measurement[]>) => void} [compare] adds to those of a round how they compare, turn by turn
 * @property {(rows: readonly Row[]) => string} format
 *
 * @typedef {import('./plan.mjs').Group} Group
 * @typedef {import('./plan.mjs').Run} Run
 * @typedef {import('./measure.mjs').Times} Times
 * @typedef {import('./measure.mjs').Measurement} Measurement
 * @typedef {import('./measure.mjs').Prepared} Prepared
 * @typedef {import('./report.mjs').Row} Row
 */

/**
 * @param {Suite} suite
 * @param {readonly Group[]} plan
 * @param {number} rounds
 * @param {Times} times
 * @param {string} directory
 */
export async function runPlan({ cases, turns = 1, prepare, compare }, plan, rounds, times, directory) {
  const roundsOf = (/** @type {Group} */ group) => (isIdle(group) ? 1 : rounds);
  const progress = startProgress(plan.reduce((sum, group) => sum + group.runs.length * roundsOf(group) * turns, 0));
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
    const attempt = async (/** @type {Run} */ run, /** @type {(prepared?: Prepared) => Promise<unknown>} */ step) => {
      try {
        await step(prepared.get(run));
      } catch (error) {
        prepared.get(run)?.kill();
        prepared.delete(run);
        results.delete(run);
        failures.push(`${group.title}, ${run.transport}: ${/** @type {Error} */ (error).message}`);
      }
    };

    for (const run of group.runs) {
      await attempt(run, async () => {
        prepared.set(run, await prepare(run, times, directory));
        results.set(run, []);
      });
    }
    for (let round = 0; round < roundsOf(group) && (round === 0 || !isTimeShort()); round++) {
      /** @type {Map<Run, Measurement[]>} */
      const taken = new Map([...prepared.keys()].map((run) => [run, []]));
      const take = (/** @type {Run} */ run) =>
        attempt(run, async (it) => {
          if (it !== undefined) taken.get(run)?.push(await it.measure());
          progress.step(`${group.title} ${run.transport}`);
        });
      const runs = rotate(group.runs, round);
      for (const run of runs) await attempt(run, async (it) => it?.begin?.());
      for (let turn = 0; turn < turns; turn++) {
        // Idle ones do not disturb each other, and are looked at from outside: all at once.
        if (isIdle(group)) await Promise.all(runs.map(take));
        else for (const run of turn % 2 === 0 ? runs : runs.toReversed()) await take(run);
      }
      for (const run of runs) await attempt(run, async (it) => it?.end?.());
      compare?.(taken);
      for (const [run, measurements] of taken) results.get(run)?.push(summarize(measurements).medians);
    }
    for (const run of group.runs) await attempt(run, async (it) => it?.close());
  }
  progress.stop();
  const byCase = (/** @type {Row} */ a, /** @type {Row} */ b) =>
    cases.indexOf(a.case) - cases.indexOf(b.case) || (a.size ?? 0) - (b.size ?? 0);
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
