import { afterAll, afterEach, beforeAll } from 'vitest';
import type { Channel, WaitingMode } from '../../src/index.js';
import type { Agent, Run, Work } from './agent.js';
import { newName, PLACES, type Place } from './rig.js';
import { shareRuntimeDirectory } from './runtime.js';

export interface Agents {
  /** Joins two agents, which are free to block their threads, by a channel. */
  join<S, T, A = undefined>(
    first: Work<Channel, A, S>,
    second: Work<Channel, A, T>,
    options?: { args?: A; options?: object },
  ): Promise<[Run<S>, Run<T>]>;
}

/** Two agents for the tests of this `describe`. */
export function useAgents(places: readonly [Place, Place], waiting: WaitingMode): Agents {
  let agents: Agent[] = [];
  shareRuntimeDirectory();
  beforeAll(async () => {
    agents = await Promise.all(places.map((place) => PLACES[place]()));
    for (const agent of agents) agent.configure({ waiting });
  });
  afterEach(async () => {
    for (const agent of agents) await agent.clean();
  });
  afterAll(async () => {
    await Promise.all(agents.map((agent) => agent.kill()));
  });
  return {
    async join(first, second, { args, options } = {}) {
      const [one, other] = agents as [Agent, Agent];
      const job = { name: newName(), args: args as never, options };
      const run = one.start(first, { ...job, role: 'bind' });
      await Promise.race([run.bound, run.result]);
      return [run, other.start(second, { ...job, role: 'connect' })];
    },
  };
}
