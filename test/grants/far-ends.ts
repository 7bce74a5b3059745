import type { Channel } from '../../src/index.js';
import { type Agent, agentInProcess, type Run, type Work } from '../support/agent.js';
import { type Keep, useKeep } from '../support/keep.js';
import { newName } from '../support/rig.js';
import { shareRuntimeDirectory } from '../support/runtime.js';

export interface FarEnd<T> {
  /** This end of the channel. */
  readonly channel: Channel;
  readonly run: Run<T>;
  readonly agent: Agent;
}

/** Channels whose other end is in a process of its own, each ended after its test. */
export function useFarEnds(): Keep & {
  /** A channel to a new process, which runs the code. */
  open<T>(work: Work<Channel, undefined, T>, options?: object): Promise<FarEnd<T>>;
} {
  shareRuntimeDirectory();
  const keep = useKeep();
  return {
    ...keep,
    async open(work, options) {
      const name = newName();
      const [server, agent] = await Promise.all([keep.bind(name, options), keep.start(agentInProcess)]);
      const run = agent.start(work, { role: 'connect', name, options });
      const channel = await Promise.race([keep.accept(server), run.result.then(() => Promise.reject())]);
      return { channel: channel as Channel, run, agent };
    },
  };
}
