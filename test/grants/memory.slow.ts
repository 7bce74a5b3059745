import { readdirSync, readFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { type Channel, createRegion, grants, RegionPool } from '../../src/index.js';
import { closed, type Tools } from '../support/agent.js';
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

/** Does something so many times. @returns what both processes had on the way */
async function sampled(pid: number, count: number, cycle: (i: number) => Promise<void>): Promise<[Sample[], Sample[]]> {
  const samples: [Sample[], Sample[]] = [[], []];
  for (let i = 0; i < count; i++) {
    await cycle(i);
    if ((i + 1) % (count / 10) > 0) continue;
    samples[0].push(sampleOf(process.pid));
    samples[1].push(sampleOf(pid));
  }
  return samples;
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
  using pool = new RegionPool({ size: 1 << 20 });
  const [near, other] = await sampled(agent.pid, MESSAGES, async (i) => {
    const block = await pool.allocateWhenFree(4096);
    block.buffer[0] = i;
    void channel.sendRegion(block);
  });
  void channel.end();
  expect(await run.result).toBe(MESSAGES);
  await closed(channel);
  expect(pool.used).toBe(0);
  expectNoGrowth('the sender', near);
  expectNoGrowth('the receiver', other);
});

/** More than there may be grants, or mappings, over a link at a time. */
const PASSES = 10_000;

/** Maps what it is told the reference of, again and again, and says what it found there. */
async function mapAll(peer: Channel, { told, say }: Tools): Promise<void> {
  for (;;) {
    const mapping = await peer.map(await told<string>());
    const found = mapping.buffer.readUInt32LE(0);
    mapping.close();
    say(found);
  }
}

test('a region that is mapped and let go of 10,000 times over one channel: no growth at either end', async () => {
  const { channel, run, agent } = await far.open(mapAll);
  using region = createRegion(4096);
  const grant = await channel.grant(region);
  const [near, other] = await sampled(agent.pid, PASSES, async (i) => {
    region.buffer.writeUInt32LE(i);
    run.tell(grant.reference);
    if ((await run.said()) !== i) throw new Error('other memory was mapped');
  });
  await grant.revoke();
  expectNoGrowth('the owner', near);
  expectNoGrowth('the holder', other);
});

test('10,000 regions that are granted and mapped over one channel, each in its turn: no growth at either end', async () => {
  const { channel, run, agent } = await far.open(mapAll);
  const [near, other] = await sampled(agent.pid, PASSES, async (i) => {
    using region = createRegion(4096);
    region.buffer.writeUInt32LE(i);
    const grant = await channel.grant(region);
    run.tell(grant.reference);
    if ((await run.said()) !== i) throw new Error('other memory was mapped');
    await grant.revoke();
  });
  expect(grants()).toEqual([]);
  expectNoGrowth('the owner', near);
  expectNoGrowth('the holder', other);
});

test('10,000 regions that are sent over one channel, each in its turn: no growth at either end', async () => {
  const { channel, run, agent } = await far.open(async (peer) => {
    let messages = 0;
    for await (const message of peer.regions()) {
      if (message.buffer.readUInt32LE(0) === messages) messages++;
      message.release();
    }
    return messages;
  });
  const [near, other] = await sampled(agent.pid, PASSES, async (i) => {
    using region = createRegion(4096);
    region.buffer.writeUInt32LE(i);
    await channel.sendRegion(region);
  });
  void channel.end();
  expect(await run.result).toBe(PASSES);
  await closed(channel);
  // The other end lets go when it hears that the last ones were revoked.
  await vi.waitFor(() => expect(grants()).toEqual([]), 10_000);
  expectNoGrowth('the sender', near);
  expectNoGrowth('the receiver', other);
});

function sampleOf(pid: number): Sample {
  const rss = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096;
  // Of shared memory: what was let go of is a range of addresses until the collector comes.
  const mappings = readFileSync(`/proc/${pid}/maps`, 'utf8').split('memfd:shmloop').length - 1;
  return { rss, mappings, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}
