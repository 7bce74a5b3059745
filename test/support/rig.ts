import { afterAll, afterEach, beforeAll } from 'vitest';
import { type Channel, type ChannelOptions, configure, connect, type WaitingMode } from '../../src/index.js';
import { type Agent, agentHere, agentInProcess, agentInWorker, type Run, type Work } from './agent.js';
import { shareRuntimeDirectory } from './runtime.js';

export const PLACES = {
  'within one domain': agentHere,
  'between two threads': agentInWorker,
  'between two processes': agentInProcess,
} as const;

export type Place = keyof typeof PLACES;

export interface Opening<Args = unknown> {
  near?: ChannelOptions & { direction?: 'both' | 'send' | 'receive' };
  far?: ChannelOptions & { direction?: 'both' | 'send' | 'receive' };
  args?: Args;
}

/** Opens channels from the test to an agent, all in one way: where it is, how both wait, how large the rings are. */
export interface Rig {
  readonly place: Place;
  readonly ringSize: number;
  open<T, Args = undefined>(
    work: Work<Channel, Args, T>,
    opening?: Opening<Args>,
  ): Promise<{ channel: Channel; far: Run<T>; agent: Agent }>;
}

let names = 0;

/** A name that no test used before. */
export function newName(): string {
  return `name-${process.pid}-${++names}`;
}

/** Sets up a rig for the tests of this `describe`. */
export function useRig(place: Place, waiting: WaitingMode, ringSize: number): Rig {
  const opened: Channel[] = [];
  let agent: Agent;
  shareRuntimeDirectory();
  beforeAll(async () => {
    configure({ waiting });
    agent = await PLACES[place]();
    agent.configure({ waiting });
  });
  afterEach(async () => {
    for (const channel of opened.splice(0)) await channel.close();
    await agent.clean();
  });
  afterAll(async () => {
    await agent.kill();
    configure({ waiting: 'adaptive' });
  });
  return {
    place,
    ringSize,
    async open(work, { near, far, args } = {}) {
      const name = newName();
      const options = { ringSize, ...far };
      const run = agent.start(work, { role: 'bind', name, options, args: args as never });
      await Promise.race([run.bound, run.result]);
      const channel = await connect(name, { ringSize, ...near });
      opened.push(channel);
      return { channel, far: run, agent };
    },
  };
}
