import { readdirSync, readlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parsePassed } from '../../src/channel/grant-messages.js';
import { decodeParts, encodeParts, outgoing } from '../../src/channel/parts.js';
import { dial, type Message } from '../../src/link/index.js';
import { type Descriptor, native } from '../../src/native.js';
import { pathOfName } from '../../src/socket/names.js';
import { agentInProcess } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { newName } from '../support/rig.js';
import { shareRuntimeDirectory } from '../support/runtime.js';

const keep = useKeep();
shareRuntimeDirectory();
const SIZE = 3 * 1024 * 1024;

/** Memory as an honest peer passes it, but for what a test asks for. */
function memory(length = SIZE, seals = 7 | 16): Descriptor {
  const descriptor = native().createMemory('shmloop', length);
  native().sealMemory(descriptor, seals);
  return descriptor;
}

function memories(pid: number): number {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link.includes('memfd:')).length;
}

type Attack = [name: string, message: Partial<Message> & { kind: Message['kind'] }, make?: () => Descriptor];
const text = `1 ${SIZE} 0 ${SIZE} read`;
const ATTACKS: Attack[] = [
  ['answers what was not asked', { kind: 'mapped', ring: 99, text }, memory],
  ['refuses what was not asked', { kind: 'mapped', ring: 99, reason: 'refused' }],
  ['lets go of what it has not mapped', { kind: 'unmapped', ring: 1 }],
  ['releases a message that it has not', { kind: 'released', ring: 1 }],
  ['passes nothing', { kind: 'pass', ring: 1, text }],
  ['passes memory without a word', { kind: 'pass', ring: 1, text: '' }, memory],
  ['passes memory of another size', { kind: 'pass', ring: 1, text }, () => memory(SIZE + 4096)],
  ['passes memory without seals', { kind: 'pass', ring: 1, text }, () => memory(SIZE, 0)],
  ['passes memory that it can write as read-only', { kind: 'pass', ring: 1, text }, () => memory(SIZE, 7)],
  [
    'passes live memory as immutable',
    { kind: 'pass', ring: 1, text: text.replace('read', 'immutable') },
    () => memory(SIZE, 7 | 16),
  ],
  ['passes a pipe', { kind: 'pass', ring: 1, text }, () => native().createDoorbell()[0]],
  ['speaks of a channel that is none', { kind: 'map', port: 77, text: 'x' }],
];

describe('a peer that', () => {
  test.each(ATTACKS)('%s is cut off, and leaves nothing behind', async (_name, message, make) => {
    const agent = await keep.start(agentInProcess);
    const name = newName();
    const run = agent.start(
      async (channel: import('../../src/index.js').Channel, { closed, describe, say }) => {
        say();
        const error = await closed(channel);
        return error === undefined ? 'closed' : describe(error).code;
      },
      { role: 'bind', name },
    );
    await run.bound;
    const link = await dial(pathOfName(name));
    const port = await link.open(name, { direction: 'any', ringSize: 4096, maxMessageSize: 1 << 20 });
    await run.said();
    const before = memories(agent.pid);
    const descriptor = make?.();
    link.tellOfGrant({ port: port.peerPort, ...message }, descriptor, () => descriptor?.close());
    expect(await run.result).toBe('ECONNRESET');
    expect(memories(agent.pid)).toBeLessThanOrEqual(before);
    port.release();
  });

  test('floods with maps gets no more than the cap, and passes no more either', async () => {
    const agent = await keep.start(agentInProcess);
    const name = newName();
    const run = agent.start(
      async (channel: import('../../src/index.js').Channel, { shmloop, say, told }) => {
        const region = shmloop.createRegion(4096);
        say((await channel.grant(region)).reference);
        await told();
        return channel.grants()[0]?.maps;
      },
      { role: 'bind', name },
    );
    await run.bound;
    const link = await dial(pathOfName(name));
    const port = await link.open(name, { direction: 'any', ringSize: 4096, maxMessageSize: 1 << 20 });
    const reference = (await run.said()) as string;
    let answers = 0;
    let refused = 0;
    const all = new Promise<void>((resolve) => {
      port.handler = {
        poll: () => false,
        arm: () => true,
        peerGone: () => undefined,
        granted: ({ message, descriptor }) => {
          descriptor?.close();
          if (message.reason === 'resources') refused++;
          if (++answers === 5000) resolve();
        },
      };
    });
    for (let i = 0; i < 5000; i++) port.tell({ kind: 'map', ring: i, text: reference });
    await all;
    run.tell();
    expect([refused, await run.result]).toEqual([5000 - 4096, 4096]);
    port.release();
  });
});

describe('what a peer says', () => {
  test.each([
    '',
    'x',
    `1 ${SIZE} 0 ${SIZE}`,
    `1 ${SIZE} 0 ${SIZE} execute`,
    `-1 ${SIZE} 0 ${SIZE} read`,
    `1 ${SIZE + 1} 0 ${SIZE} read`,
    `1 ${SIZE} 0 ${SIZE + 1} read`,
    `1 ${SIZE} ${SIZE} 1 read`,
    `1 ${SIZE} 0 0 read`,
    '1 0 0 0 read',
    `1 9007199254740992 0 1 read`,
    `9999999999 ${SIZE} 0 ${SIZE} read`,
    `1 ${SIZE} 0 ${SIZE} read `,
  ])('of memory is refused where it cannot be: %j', (said) => {
    expect(() => parsePassed(said)).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_PROTOCOL' }));
  });

  test('of the parts of a message is refused where it cannot be, and read within its bytes', () => {
    const payload = encodeParts([outgoing('some'), outgoing('bytes')], () => 1);
    expect(decodeParts(payload).parts.map(({ length }) => length)).toEqual([4, 5]);
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    let refused = 0;
    for (let i = 0; i < 20_000; i++) {
      const changed = Buffer.from(payload.subarray(0, random(10) === 0 ? random(payload.length) : payload.length));
      if (changed.length > 0) changed[random(changed.length)] = random(256);
      try {
        const { parts, head } = decodeParts(changed);
        const inline = parts.filter(({ grant }) => grant === 0).reduce((sum, { length }) => sum + length, 0);
        expect(head + inline).toBe(changed.length);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_SHMLOOP_PROTOCOL' });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });
});
