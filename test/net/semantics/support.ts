/** Runs the programs of `fixtures/` over TCP and over the drop-in. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach } from 'vitest';

const REGISTER = fileURLToPath(new URL('../../../dist/register.js', import.meta.url));

export type Transport = 'shm' | 'tcp';
export const TRANSPORTS = ['shm', 'tcp'] as const;

export interface ProgramOptions {
  transport?: Transport;
  args?: object;
  env?: NodeJS.ProcessEnv;
  execArgv?: string[];
}

export interface Ended {
  code: number | null;
  signal: string | null;
}

/** A process that says things and is told things. */
export class Program {
  readonly ended: Promise<Ended>;
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #said: unknown[] = [];
  readonly #listeners: { resolve(value: unknown): void; reject(error: Error): void }[] = [];
  #errors = '';
  #isEnded = false;

  constructor(name: string, { transport = 'shm', args = {}, env, execArgv = [] }: ProgramOptions) {
    this.#name = name;
    const mode = transport === 'shm' ? { SHMLOOP_UPGRADE: 'eager' } : { SHMLOOP: 'off' };
    this.#child = fork(fileURLToPath(new URL(`fixtures/${name}.mjs`, import.meta.url)), [JSON.stringify(args)], {
      env: { ...process.env, ...mode, ...env },
      execArgv: ['--import', REGISTER, ...execArgv],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    this.#child.stderr?.on('data', (text) => {
      this.#errors += text;
    });
    this.#child.on('message', (value) => {
      const listener = this.#listeners.shift();
      if (listener === undefined) this.#said.push(value);
      else listener.resolve(value);
    });
    this.ended = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        this.#isEnded = true;
        for (const { reject } of this.#listeners.splice(0)) reject(this.#over(code ?? signal));
        resolve({ code, signal });
      });
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** What it wrote to its standard error. */
  get errors(): string {
    return this.#errors;
  }

  /** The next thing that it says; rejects if it ends before. */
  said<T = unknown>(): Promise<T> {
    if (this.#said.length > 0) return Promise.resolve(this.#said.shift() as T);
    if (this.#isEnded) return Promise.reject(this.#over('before'));
    return new Promise((resolve, reject) => {
      this.#listeners.push({ resolve: resolve as (value: unknown) => void, reject });
    });
  }

  tell(value: unknown = null): void {
    this.#child.send(value as object);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }

  #over(how: unknown): Error {
    return new Error(`${this.#name} ended (${how}): ${this.#errors}`);
  }
}

export type Start = (name: string, options?: ProgramOptions) => Program;

/** Programs that end with their test. */
export function usePrograms(): Start {
  const programs: Program[] = [];
  afterEach(async () => {
    await Promise.all(programs.splice(0).map((program) => program.end()));
  });
  return (name, options = {}) => {
    const program = new Program(name, options);
    programs.push(program);
    return program;
  };
}
