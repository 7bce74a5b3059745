import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createRegion, RegionPool } from '../../src/index.js';
import { closed } from '../support/agent.js';
import { expectNoGrowth, type Sample } from '../support/growth.js';
import { useFarEnds } from './far-ends.js';

const far = useFarEnds();
const GIB = 1024 ** 3;
const MESSAGES = 1_000_000;

/** Bytes of memory that a process has, each shared page in equal parts with those who share it. */
function proportional(pid: number | string): number {
  const [, kib] = /^Pss: +(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

test('1 GiB goes from process to process without a second copy of it', async () => {
  const { channel, run, agent } = await far.open(
    async (peer, { say, told }) => {
      say();
      const { value: message } = await peer.regions().next();
      let sum = 0;
      for (let i = 0; i < message.length; i += 4096) sum += message.buffer[i] as number;
      say(sum);
      await told();
      message.release();
    },
    { maxMessageSize: GIB },
  );
  await run.said();
  const before = proportional('self') + proportional(agent.pid);
  using region = createRegion(GIB);
  region.buffer.fill(3);
  const released = channel.sendRegion(region);
  expect(await run.said()).toBe((3 * GIB) / 4096);
  const grown = proportional('self') + proportional(agent.pid) - before;
  console.log(`1 GiB sent and looked at: both together have ${(grown / 2 ** 20).toFixed(0)} MiB more`);
  expect(grown).toBeGreaterThan(0.9 * GIB);
  expect(grown).toBeLessThan(1.1 * GIB);
  run.tell();
  await released;
});

test('1,000,000 messages from a pool: no growth at either end', async () => {
  const { channel, run, agent } = await far.open(async (peer) => {
    let messages = 0;
    for await (const message of peer.regions()) {
      if (message.buffer[0] === (messages & 255)) messages++;
      message.release();
    }
    return messages;
  });
  const near: Sample[] = [];
  const other: Sample[] = [];
  using pool = new RegionPool({ size: 1 << 20 });
  for (let i = 0; i < MESSAGES; i++) {
    const block = await pool.allocateWhenFree(4096);
    block.buffer[0] = i;
    void channel.sendRegion(block);
    if ((i + 1) % (MESSAGES / 10) > 0) continue;
    near.push(sampleOf(process.pid));
    other.push(sampleOf(agent.pid));
  }
  void channel.end();
  expect(await run.result).toBe(MESSAGES);
  await closed(channel);
  expect(pool.used).toBe(0);
  expectNoGrowth('the sender', near);
  expectNoGrowth('the receiver', other);
});

function sampleOf(pid: number): Sample {
  const rss = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096;
  const mappings = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').length;
  return { rss, mappings, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}
