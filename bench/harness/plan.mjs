/**
 * What to measure, in which order. A group is what is compared with each other:
 * its runs take turns, round by round, so that a disturbance hits all of them.
 *
 * @typedef {object} Run one measurement, repeated each round
 * @property {string} transport
 * @property {'rtt' | 'rtt-parked' | 'oneway' | 'idle'} kind
 * @property {number} size
 * @property {boolean} zeroCopy
 * @property {readonly string[]} cases that its figures are reported under
 *
 * @typedef {{ title: string, runs: readonly Run[] }} Group
 */
import { TRANSPORTS } from '../transports/index.mjs';

export const CASES = ['rtt', 'rtt-parked', 'oneway', 'oneway-consume', 'idle'];
const SMALL = 64;
const ONE_WAY_SIZES = [SMALL, 1 << 10, 64 << 10, 1 << 20];

/**
 * @param {readonly string[]} cases
 * @param {readonly string[]} transports
 * @returns {Group[]}
 */
export function makePlan(cases, transports) {
  /** @type {Group[]} */
  const groups = [];
  for (const name of /** @type {const} */ (['rtt', 'rtt-parked'])) {
    if (!cases.includes(name)) continue;
    const runs = transports.filter((transport) => TRANSPORTS[transport].cases.includes(name));
    groups.push({ title: name, runs: runs.map((transport) => makeRun(transport, name, SMALL, [name])) });
  }
  const oneWayCases = ['oneway', 'oneway-consume'].filter((name) => cases.includes(name));
  if (oneWayCases.length > 0) {
    for (const size of ONE_WAY_SIZES) {
      groups.push({
        title: `oneway ${size}`,
        runs: transports.flatMap((transport) => oneWayRuns(transport, size, oneWayCases)),
      });
    }
  }
  if (cases.includes('idle')) {
    const runs = transports.filter((transport) => TRANSPORTS[transport].cases.includes('idle'));
    groups.push({ title: 'idle', runs: runs.map((transport) => makeRun(transport, 'idle', SMALL, ['idle'])) });
  }
  return groups.filter(({ runs }) => runs.length > 0);
}

/**
 * A transport that cannot lend what it received has one measurement for both cases.
 * @param {string} transport
 * @param {number} size
 * @param {readonly string[]} wanted
 * @returns {Run[]}
 */
function oneWayRuns(transport, size, wanted) {
  const { cases, hasViews, largest = size } = TRANSPORTS[transport];
  if (size > largest) return [];
  const offered = wanted.filter((name) => cases.includes(name));
  if (offered.length === 0) return [];
  if (!hasViews) return [makeRun(transport, 'oneway', size, offered)];
  return offered.map((name) => makeRun(transport, 'oneway', size, [name], name === 'oneway-consume'));
}

/**
 * @param {string} transport
 * @param {Run['kind']} kind
 * @param {number} size
 * @param {readonly string[]} cases
 * @param {boolean} [zeroCopy]
 * @returns {Run}
 */
function makeRun(transport, kind, size, cases, zeroCopy = false) {
  return { transport, kind, size, zeroCopy, cases };
}

/**
 * @template T
 * @param {readonly T[]} items
 * @param {number} by
 * @returns {T[]}
 */
export function rotate(items, by) {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
