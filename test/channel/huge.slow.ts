import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Channel } from '../../src/index.js';
import { agentInProcess, type Tools } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { newName } from '../support/rig.js';
import { shareRuntimeDirectory } from '../support/runtime.js';

shareRuntimeDirectory();
const open = useKeep();
const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** Sends a message of 1 GiB, and says how much its memory grew at most meanwhile. */
async function sendHuge(channel: Channel, { args, hash, say }: Tools<number>) {
  const message = Buffer.allocUnsafeSlow(args);
  for (let at = 0; at < args; at += 4) message.writeUInt32LE((at * 2654435761) >>> 0, at);
  const expected = hash(message);
  const before = process.memoryUsage.rss();
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss() - before);
  }, 5);
  channel.send(message);
  await channel.drained();
  clearInterval(timer);
  say({ expected, grown: peak });
  await channel.end();
}

test.each([4096, 1 << 20, 1 << 26])(
  'a message of 1 GiB goes through rings of %d bytes, and the sender holds it once',
  async (ringSize) => {
    const [sender, receiver] = [await open.start(agentInProcess), await open.start(agentInProcess)];
    const name = newName();
    const receiving = receiver.start(
      async (channel: Channel, { hash }) => {
        const lengths: [number, string][] = [];
        for await (const message of channel) lengths.push([message.length, hash(message)]);
        return lengths;
      },
      { role: 'bind', name, options: { ringSize, maxMessageSize: GIB } },
    );
    await receiving.bound;
    const sending = sender.start(sendHuge, { role: 'connect', name, args: GIB });
    const { expected, grown } = (await sending.said()) as { expected: string; grown: number };
    expect(await receiving.result).toEqual([[GIB, expected]]);
    // What it maps of the ring, and garbage: nothing that grows with the message.
    expect(grown).toBeLessThan(2 * ringSize + 64 * MIB);
  },
);

test('a message of 1 GiB and a byte is refused by the sender, whatever the receiver says', async () => {
  await expect(open.bind('huge', { maxMessageSize: GIB + 1 })).rejects.toMatchObject({
    code: 'ERR_SHMLOOP_INVALID_ARGUMENT',
  });
  await open.bind('huge', { maxMessageSize: GIB });
  const channel = await open.connect('huge');
  expect(channel.maxMessageSize).toBe(GIB);
  expect(() => channel.send(Buffer.allocUnsafeSlow(GIB + 1))).toThrow(
    expect.objectContaining({ code: 'ERR_SHMLOOP_MESSAGE_SIZE' }),
  );
});

test('a hundred thousand requests leave no memory behind', async () => {
  const agent = await open.start(agentInProcess);
  const name = newName();
  const far = agent.start(
    async (channel: Channel, { closed }) => {
      channel.handle((request) => request);
      await closed(channel);
    },
    { role: 'bind', name },
  );
  await far.bound;
  const channel = await open.connect(name);
  const round = async (count: number) => {
    for (let i = 0; i < count; i += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, j) => channel.request(`${i + j}`)));
    }
  };
  await round(20_000);
  const before = residentOf(agent.pid);
  await round(100_000);
  expect(residentOf(agent.pid) - before).toBeLessThan(32 * MIB);
});

function residentOf(pid: number): number {
  const pages = readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1];
  return Number(pages) * 4096;
}
