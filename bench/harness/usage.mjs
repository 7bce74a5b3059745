/** What a process used: by its own count, and as seen from outside. */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** The unit of /proc/stat on every Linux that Node runs on. */
const NS_PER_TICK = 1e7;

/**
 * @typedef {{ pid: number, us: number }} CpuStamp CPU time of a process, all its threads, at one moment
 * @typedef {{ before: CpuStamp, after: CpuStamp }} CpuSpan
 */

/** @returns {CpuStamp} of this process */
export function cpuStamp() {
  const { user, system } = process.cpuUsage();
  return { pid: process.pid, us: user + system };
}

/**
 * CPU time that both sides used. Two threads of one process see the same clock:
 * there it is from the first stamp to the last.
 * @param {readonly CpuSpan[]} spans
 * @returns {number} microseconds
 */
export function cpuOfSpans(spans) {
  /** @type {Map<number, { first: number, last: number }>} */
  const processes = new Map();
  for (const { before, after } of spans) {
    const known = processes.get(before.pid) ?? { first: Number.POSITIVE_INFINITY, last: 0 };
    processes.set(before.pid, { first: Math.min(known.first, before.us), last: Math.max(known.last, after.us) });
  }
  return [...processes.values()].reduce((sum, { first, last }) => sum + last - first, 0);
}

/** @returns {number} nanoseconds on a clock that all processes of this machine share */
export function nowNs() {
  return Number(process.hrtime.bigint());
}

/**
 * Seen from outside, so that looking wakes nobody.
 * @param {number} pid
 * @returns {{ switches: number, cpuNs: number }} context switches, and time on a CPU, of all its threads
 */
export function observeProcess(pid) {
  let switches = 0;
  let cpuNs = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    for (const [, count] of status.matchAll(/^(?:non)?voluntary_ctxt_switches:\s*(\d+)$/gm)) switches += Number(count);
    cpuNs += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  }
  return { switches, cpuNs };
}

/**
 * Starts to watch how much of the machine others use while these processes are measured.
 * @param {readonly number[]} pids
 * @returns {() => number} tells their share of all CPU time since, 0 to 1
 */
export function watchOthers(pids) {
  const start = nowNs();
  const busyBefore = machineBusyNs();
  const ownBefore = ownCpuNs(pids);
  return () => {
    const capacity = (nowNs() - start) * availableParallelism();
    const others = machineBusyNs() - busyBefore - (ownCpuNs(pids) - ownBefore);
    return Math.min(1, Math.max(0, others / capacity));
  };
}

/** @returns {number} bytes that loopback has carried since the machine, or the container, began */
export function loopbackBytes() {
  const [, received] = /^\s*lo:\s*(\d+)/m.exec(readFileSync('/proc/net/dev', 'utf8')) ?? [];
  return Number(received);
}

/** @param {readonly number[]} pids */
function ownCpuNs(pids) {
  return pids.reduce((sum, pid) => sum + observeProcess(pid).cpuNs, cpuStamp().us * 1e3);
}

function machineBusyNs() {
  const [, user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8').split(/\s+/, 8).map(Number);
  return (user + nice + system + irq + softirq) * NS_PER_TICK;
}
