import { type ChildProcess, fork } from 'node:child_process';
import type { createHash } from 'node:crypto';
import { once } from 'node:events';
import type net from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach } from 'vitest';
import type { Transport } from '../../src/net/transport.js';

const FIXTURE = fileURLToPath(new URL('../fixtures/program.mjs', import.meta.url));
export const REGISTER = fileURLToPath(new URL('../../dist/register.js', import.meta.url));
const NET = new URL('../../dist/net/index.js', import.meta.url).href;

/** What the code of a program has. It runs elsewhere: it sees nothing of the test's scope. */
export interface Tools<Args = unknown> {
  readonly args: Args;
  readonly child_process: typeof import('node:child_process');
  readonly cluster: typeof import('node:cluster').default;
  readonly createHash: typeof createHash;
  readonly delay: (milliseconds: number) => Promise<void>;
  readonly http: typeof import('node:http');
  readonly http2: typeof import('node:http2');
  readonly net: typeof net;
  readonly once: typeof once;
  readonly tls: typeof import('node:tls');
  readonly load: <Module>(module: string) => Promise<Module>;
  readonly logOf: (socket: net.Socket) => { log: unknown[]; closed: Promise<void> };
  readonly say: (value?: unknown) => void;
  readonly told: <T = unknown>() => Promise<T>;
  readonly pattern: (at: number, length: number) => Buffer;
  readonly until: (holds: () => boolean) => Promise<void>;
  readonly switched: (socket: net.Socket) => Promise<void>;
  readonly transportOf: (socket: net.Socket) => Transport;
}

export interface ProgramOptions<Args = unknown> {
  args?: Args;
  env?: NodeJS.ProcessEnv;
  /** Whether it has the drop-in. Default true. */
  isPreloaded?: boolean;
  execArgv?: string[];
  uid?: number;
}

/** A process that runs the test's code, with the drop-in or without. */
export class Program<T> {
  readonly result: Promise<T>;
  /** How it ended. */
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
  readonly #child: ChildProcess;
  readonly #said: unknown[] = [];
  readonly #listeners: ((value: unknown) => void)[] = [];

  constructor(child: ChildProcess) {
    this.#child = child;
    this.ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal })));
    this.result = new Promise((resolve, reject) => {
      child.on('message', ({ event, value }: { event: string; value: never }) => {
        if (event === 'said') this.#hear(value);
        else if (event === 'done') resolve(value);
        else if (event === 'failed') reject(Object.assign(new Error('in the program'), value));
      });
      child.on('exit', (code, signal) => reject(new Error(`the program ended: ${code ?? signal}`)));
    });
    this.result.catch(() => undefined);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  tell(value?: unknown): void {
    this.#child.send({ value });
  }

  /** The next thing that it says; rejects if it fails. */
  said<S = unknown>(): Promise<S> {
    if (this.#said.length > 0) return Promise.resolve(this.#said.shift() as S);
    const said = new Promise<S>((resolve) => this.#listeners.push(resolve as (value: unknown) => void));
    return Promise.race([said, this.result.then(() => said)]);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }

  #hear(value: unknown): void {
    const listener = this.#listeners.shift();
    if (listener === undefined) this.#said.push(value);
    else listener(value);
  }
}

/** Programs that end with their test. */
export function usePrograms() {
  const programs: Program<unknown>[] = [];
  afterEach(async () => {
    await Promise.all(programs.splice(0).map((program) => program.end()));
  });
  return async <T, Args = undefined>(
    work: (tools: Tools<Args>) => T | Promise<T>,
    { args, env, isPreloaded = true, execArgv = [], uid }: ProgramOptions<Args> = {},
  ): Promise<Program<T>> => {
    const child = fork(FIXTURE, [], {
      env: { ...process.env, SHMLOOP_UPGRADE: 'eager', ...(isPreloaded ? { SHMLOOP_NET: NET } : {}), ...env },
      execArgv: isPreloaded ? ['--import', REGISTER, ...execArgv] : execArgv,
      serialization: 'advanced',
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    const program = new Program<T>(child);
    programs.push(program as Program<unknown>);
    await once(child, 'message');
    child.send({ source: work.toString(), args });
    return program;
  };
}
