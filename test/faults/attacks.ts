/** Attacks of a client on a server that has an honest client, too. */
import type { Fixture, Report, useSandbox } from './support.js';

type Group = 'handshake' | 'message' | 'frame' | 'flood';

/** Of the victim's event loop, by its own work: milliseconds of CPU between two timers. */
const MAX_OWN_STALL = 20;
/** By the clock: a stall in the kernel, or what this machine makes of one. */
const MAX_STALL = 1000;
const CODES: Record<Group, string[]> = {
  handshake: [],
  message: ['ECONNRESET', 'ERR_SHMLOOP_PROTOCOL', 'ERR_SHMLOOP_REGION'],
  frame: ['ERR_SHMLOOP_PROTOCOL', 'ERR_SHMLOOP_MESSAGE_SIZE'],
  flood: ['ECONNRESET', 'ERR_SHMLOOP_PROTOCOL'],
};

/** Makes all attacks of a group. @returns what went wrong */
export async function failuresOf(group: Group, sandbox: ReturnType<typeof useSandbox>): Promise<string[]> {
  const server = sandbox.start('beset-server', { name: 'beset' });
  await server.next('bound');
  const attacker = sandbox.start('attacker', { name: 'beset' });
  const { attacks } = await attacker.next('ready');
  const failures = [];
  for (const what of attacks[group]) failures.push(...(await outcomeOf(group, what, server, attacker)));
  server.tell({ ask: 'end' });
  await server.exited;
  return failures;
}

async function outcomeOf(group: Group, what: string, server: Fixture, attacker: Fixture): Promise<string[]> {
  const started = performance.now();
  attacker.tell({ group, what });
  const { outcome } = await attacker.next('attacked');
  server.tell({ ask: 'state' });
  const state = await server.next('state');
  if (process.env.SHMLOOP_VERBOSE) {
    const took = performance.now() - started;
    console.log(
      `${what}: ${took.toFixed(0)} ms, ${state.errors}, ${[...new Set(outcome)]}; stalls ${state.ownStall} ${state.stall}`,
    );
  }
  return faultsOf(group, state, outcome).map((fault) => `${what}: ${JSON.stringify(fault)}`);
}

function faultsOf(group: Group, state: Report, outcome: string[]): unknown[] {
  const faults: unknown[] = [];
  const { errors, stall, ownStall, settled, isHonestAlive } = state;
  if (!isHonestAlive) faults.push('another link was hurt');
  if (settled !== 'yes') faults.push(settled);
  if (stall > MAX_STALL || ownStall > MAX_OWN_STALL) faults.push({ stall, ownStall });
  if (!errors.every((code: string) => CODES[group].includes(code))) faults.push({ errors });
  if (group === 'frame' && (errors.length !== 1 || outcome[0] !== 'closed')) faults.push({ errors, outcome });
  if (outcome.some((each) => each.includes('Error'))) faults.push({ outcome });
  return faults;
}
