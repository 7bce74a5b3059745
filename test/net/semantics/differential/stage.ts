/** Two processes that play programs, and what is seen of them. */
import { once } from 'node:events';
import type { Program as Process, Start, Transport } from '../support.js';
import type { Phase, Program, Role, Step } from './programs.js';

/** Over what a program is played. */
export interface Variant {
  transport: Transport;
  /** Whether it begins before the connection has switched. */
  isEarly?: boolean;
  ringSize?: number;
  mode?: 'auto' | 'eager';
}

interface State {
  closed: boolean;
}

export type Seen = Record<
  Role,
  { seen: unknown[][]; socket: { errored?: string; bytesWritten?: number }; read: unknown }
>;

/** For each phase, who begins before the other does; which of two that begin at once is ahead is chance. */
export type Ahead = (Role | undefined)[];

export const ROLES: Role[] = ['client', 'server'];
/** By then every end has done what it was told to, in milliseconds. */
const DEADLINE = 20_000;
const FINISH: Step[] = [{ do: 'finish' }];
const LATER: Step[] = [{ do: 'delay', time: 3 }];

export class Stage {
  readonly #variant: Variant;
  readonly #processes: Record<Role, Process>;

  constructor(start: Start, variant: Variant) {
    this.#variant = variant;
    const { transport, ringSize = 262_144, mode = 'eager' } = variant;
    const env = transport === 'tcp' ? {} : { SHMLOOP_RING_SIZE: String(ringSize), SHMLOOP_UPGRADE: mode };
    const options = { transport, env };
    this.#processes = { client: start('playing', options), server: start('playing', options) };
  }

  /** @returns what each end saw in each phase */
  async play(program: Program, ahead: Ahead): Promise<Seen[]> {
    const { client, server } = program;
    const { isEarly = false } = this.#variant;
    const { options } = server;
    const port = await this.#ask('server', { command: 'listen', options });
    const accepted = this.#ask('server', { command: 'accept', ...server, isEarly });
    await this.#ask('client', { command: 'connect', port, ...client, isEarly });
    await accepted;
    const seen: Seen[] = [];
    const phases = [...program.phases, { client: FINISH }, { server: FINISH }];
    for (const [i, phase] of phases.entries()) seen.push(await this.#play(phase, ahead[i]));
    return seen;
  }

  async #play(phase: Phase, ahead: Role | undefined): Promise<Seen> {
    let states = await this.#both((role) => ({ command: 'state', role }));
    const before = states;
    const isTogether = phase.client !== undefined && phase.server !== undefined;
    states = await this.#both((role) => {
      const steps = [...(role === (ahead ?? role) ? [] : LATER), ...(phase[role] ?? [])];
      return { command: 'play', steps, peer: before[other(role)], isTogether };
    });
    for (let known = ''; known !== JSON.stringify(states); ) {
      known = JSON.stringify(states);
      const peers = states;
      states = await this.#both((role) => ({ command: 'settle', peer: peers[other(role)] }));
    }
    return (await this.#both(() => ({ command: 'see' }))) as unknown as Seen;
  }

  async #both(message: (role: Role) => object): Promise<Record<Role, State>> {
    const [client, server] = await Promise.all(ROLES.map((role) => this.#ask(role, message(role))));
    return { client, server } as Record<Role, State>;
  }

  async #ask(role: Role, message: object): Promise<unknown> {
    const process = this.#processes[role];
    const answer = process.said();
    process.tell(message);
    const late = AbortSignal.timeout(DEADLINE);
    return Promise.race([answer, once(late, 'abort').then(() => Promise.reject(unanswered(role, message)))]);
  }
}

function unanswered(role: Role, message: object): Error {
  return new Error(`no answer from the ${role} to ${JSON.stringify(message)}`);
}

function other(role: Role): Role {
  return role === 'client' ? 'server' : 'client';
}

/** Without what depends on the room that there is when something is written, and when there is more. */
export function withoutRoom(seen: Seen[]): Seen[] {
  const isWritten = ([what]: unknown[]) => what === 'wrote' || what === 'ended';
  const strip = (end: Seen[Role]) => {
    const rest = end.seen.filter(([what]) => what !== 'drain' && what !== 'write');
    const others = rest.filter((it) => !isWritten(it));
    if (end.socket.errored !== undefined) end.socket.bytesWritten = undefined;
    // Which of several writes the peer's absence shows at depends on how many are one.
    if (others.some(([what, , call]) => what === 'error' && call === 'write')) return { ...end, seen: others };
    return { ...end, seen: [...others, ...rest.filter(isWritten)] };
  };
  return seen.map(({ client, server }) => ({ client: strip(client), server: strip(server) }));
}
