import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Channel, configure, type WaitingMode } from '../../src/index.js';
import { agentInProcess } from '../support/agent.js';
import { useKeep } from '../support/keep.js';
import { useRuntimeDirectory } from '../support/runtime.js';

useRuntimeDirectory();
const open = useKeep();
const ROUNDS = 300;
/** The next timer: what is answered no sooner fails. */
const timeout = 1000;

describe.each<WaitingMode>(['park', 'adaptive', 'spin'])('where waiting is %s', (waiting) => {
  beforeEach(() => configure({ waiting }));
  afterEach(() => configure({ waiting: 'adaptive' }));

  test('an unreferenced channel in a process that something else keeps alive answers at once', async () => {
    const agent = await open.start(agentInProcess);
    agent.configure({ waiting });
    const far = agent.start(
      async (channel: Channel, { closed }) => {
        channel.unref().handle((request) => request);
        await closed(channel);
      },
      { role: 'bind', name: 'name' },
    );
    await far.bound;
    const channel = await open.connect('name');
    for (let i = 0; i < ROUNDS; i++) expect(`${await channel.request(`${i}`, { timeout })}`).toBe(`${i}`);
  });

  test('an unreferenced channel in a process that something else keeps alive gets its replies at once', async () => {
    const agent = await open.start(agentInProcess);
    agent.configure({ waiting });
    const server = await open.bind('name');
    server.on('channel', (channel) => open.keep(channel).handle((request) => request));
    const far = agent.start(
      async (channel: Channel, { args }) => {
        channel.unref();
        const replies: string[] = [];
        for (let i = 0; i < args.rounds; i++) replies.push(`${await channel.request(`${i}`, args)}`);
        return replies;
      },
      { role: 'connect', name: 'name', args: { rounds: ROUNDS, timeout } },
    );
    expect(await far.result).toEqual(Array.from({ length: ROUNDS }, (_, i) => `${i}`));
  });
});
