import { describe, expect, test } from 'vitest';
import { createRegion, RegionPool } from '../../src/index.js';
import { useFarEnds } from './far-ends.js';

const far = useFarEnds();

describe('a message in a region', () => {
  test("is seen where it is, and is the sender's again when it is released", async () => {
    const { channel, run } = await far.open(async (peer, { told, say }) => {
      const [message] = [(await peer.regions().next()).value];
      say([message.length, message.buffer.toString('latin1', 0, 5)]);
      await told();
      say(message.buffer.toString('latin1', 0, 5));
      message.release();
      message.release();
    });
    using region = createRegion(1 << 20);
    region.buffer.write('.first', 4095);
    let isReleased = false;
    const released = channel.sendRegion(region, { offset: 4096, length: 5000 }).then(() => {
      isReleased = true;
    });
    expect(await run.said()).toEqual([5000, 'first']);
    region.buffer.write('later', 4096);
    run.tell();
    // The very same page.
    expect(await run.said()).toBe('later');
    await released;
    expect(isReleased).toBe(true);
  });
});
test('pool', async () => {
  const { channel, run } = await far.open(async (peer) => {
    let sum = 0;
    for await (const message of peer.regions()) {
      sum += message.buffer[0] as number;
      message.release();
    }
    return sum;
  });
  using pool = new RegionPool({ size: 1 << 16 });
  for (let i = 0; i < 1000; i++) {
    const block = await pool.allocateWhenFree(16_000);
    block.buffer.fill(1);
    void channel.sendRegion(block);
  }
  await channel.end();
  expect(await run.result).toBe(1000);
  await new Promise((resolve) => (channel.closed ? resolve(0) : channel.once('close', resolve)));
  expect(pool.used).toBe(0);
});
