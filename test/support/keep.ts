import { afterEach } from 'vitest';
import { type BindOptions, bind, type Channel, type ConnectOptions, connect, type Server } from '../../src/index.js';
import type { Agent } from './agent.js';

export interface Keep {
  /** Closes it after the test. */
  keep<T extends { close(): Promise<unknown> }>(thing: T): T;
  bind(name: string, options?: BindOptions): Promise<Server>;
  connect(name: string, options?: ConnectOptions): Promise<Channel>;
  /** The next channel that the server is connected by. */
  accept(server: Server): Promise<Channel>;
  /** Both ends of a channel, in this domain: who connected, and who accepted. */
  pair(options?: { near?: ConnectOptions; far?: BindOptions }): Promise<[near: Channel, far: Channel]>;
  /** Starts a helper, which is killed after the test. */
  start(kind: () => Promise<Agent>): Promise<Agent>;
}

/** For tests that open things as they go: all is closed when they are through. */
export function useKeep(): Keep {
  const open: { close(): Promise<unknown> }[] = [];
  const agents: Agent[] = [];
  afterEach(async () => {
    for (const thing of open.splice(0)) await thing.close();
    for (const agent of agents.splice(0)) await agent.kill();
  });
  const keep = <T extends { close(): Promise<unknown> }>(thing: T): T => {
    open.push(thing);
    return thing;
  };
  const accept = async (server: Server) => {
    const { value } = await server[Symbol.asyncIterator]().next();
    return keep(value as Channel);
  };
  return {
    keep,
    bind: async (name, options) => keep(await bind(name, options)),
    connect: async (name, options) => keep(await connect(name, options)),
    accept,
    pair: async ({ near, far } = {}) => {
      const server = keep(await bind('pair', far));
      const channel = keep(await connect('pair', near));
      const accepted = await accept(server);
      await server.close();
      return [channel, accepted];
    },
    start: async (kind) => {
      const agent = await kind();
      agents.push(agent);
      return agent;
    },
  };
}
