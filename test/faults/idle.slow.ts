import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { useSandbox } from './support.js';

const sandbox = useSandbox();

test('100 idle channels for 5 s: no wake-up and no CPU, at either end', async () => {
  // V8 collects garbage by itself some seconds after any work, on several threads.
  const options = { execArgv: ['--no-memory-reducer'] };
  const server = sandbox.start('idling', { side: 'bind' }, options);
  await server.next('ready');
  const client = sandbox.start('idling', { side: 'connect', channels: 100 }, options);
  await client.next('ready');
  const baseline = sandbox.start('idling', { side: 'connect', channels: 0 }, options);
  await baseline.next('ready');
  // Node's own threads come to rest; adaptive waiting parks.
  await delay(3000);
  const pids = [server.pid, client.pid, baseline.pid];
  const before = pids.map(usage);
  await delay(5000);
  const after = pids.map(usage);
  const spent = after.map((each, i) => ({
    switches: each.switches - (before[i]?.switches ?? 0),
    ticks: each.ticks - (before[i]?.ticks ?? 0),
  }));
  console.log('server, client, and a process without channels:', JSON.stringify(spent));
  const [ofServer, ofClient, ofNobody] = spent as [Usage, Usage, Usage];
  for (const each of [ofServer, ofClient]) {
    expect(each.switches).toBeLessThanOrEqual(ofNobody.switches + 2);
    expect(each.ticks).toBe(0);
  }
});

interface Usage {
  switches: number;
  ticks: number;
}

/** Context switches of all threads, and CPU in ticks of the clock. */
function usage(pid: number): Usage {
  let switches = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'latin1');
    for (const [, count] of status.matchAll(/ctxt_switches:\s+(\d+)/g)) switches += Number(count);
  }
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number) as [number, number];
  return { switches, ticks: user + system };
}
