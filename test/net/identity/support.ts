/** Runs programs as real processes, which do what their test tells them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test as base } from 'vitest';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export interface ProgramOptions {
  /** A file of fixtures beside the test. */
  program?: URL;
  /** Whether it has the drop-in. */
  preload?: boolean;
  env?: Record<string, string>;
  /** A command that runs the rest of its line, put before Node's. */
  wrap?: string[];
  /** Arguments of Node before the program. */
  node?: string[];
  /** A user that it becomes before it does anything. */
  uid?: number;
  config?: { acts?: string; by?: string };
}

/** What programs answer: each act has its own shape, asserted on by its test. */
// biome-ignore lint/suspicious/noExplicitAny: as said
export type Answer = any;

interface Waiting {
  resolve(value: Answer): void;
  reject(error: Error): void;
}

/** A program of `fixtures`, told over Node's own IPC. */
export class Program {
  readonly process: ChildProcess;
  readonly exited: Promise<number | null>;
  /** Its pid, as it sees it. */
  pid = 0;
  readonly #waiting = new Map<number | string, Waiting>();
  #asked = 0;
  #errors = '';

  constructor({ program, preload = true, env, wrap = [], node = [], uid, config }: ProgramOptions) {
    const script = fileURLToPath(program ?? new URL('fixtures/program.mjs', import.meta.url));
    const args = [...(preload ? ['--import', 'shmloop/register'] : []), ...node, script];
    const line = [...wrap, process.execPath, ...args, JSON.stringify({ ...config, preload, uid })];
    this.process = spawn(line[0] as string, line.slice(1), {
      cwd: ROOT,
      env: { ...inherited(), SHMLOOP_UPGRADE: 'eager', ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.process.stdout?.resume();
    this.process.stderr?.on('data', (chunk) => {
      this.#errors += chunk;
    });
    this.process.on('message', (message) => this.#received(message as Answer));
    this.exited = new Promise((resolve) => this.process.once('exit', resolve));
    void this.exited.then((code) => this.#failAll(`exited (${code})`));
  }

  /** What it wrote to its standard error. */
  get errors(): string {
    return this.#errors;
  }

  async ready(): Promise<void> {
    this.pid = await this.#answer('ready');
  }

  /** Has the program do something. @returns what it answers; rejects with what it threw */
  call(act: string, ...args: unknown[]): Promise<Answer> {
    const id = ++this.#asked;
    this.process.send({ id, act, args });
    return this.#answer(id);
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  #answer(id: number | string): Promise<Answer> {
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #received({ id, value, error }: Answer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(Object.assign(new Error(`${error.message}\n${this.#errors}`), { code: error.code }));
  }

  #failAll(what: string): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(`${what}:\n${this.#errors}`));
    this.#waiting.clear();
  }
}

export type Start = (options?: ProgramOptions) => Promise<Program>;

interface Fixtures {
  /** Starts a program, which ends with the test. */
  start: Start;
  /** A directory for the test. */
  directory: string;
}

export const test = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest wants one
  start: async ({}, use) => {
    const programs: Program[] = [];
    await use(async (options = {}) => {
      const program = new Program(options);
      programs.push(program);
      await program.ready();
      return program;
    });
    for (const program of programs) {
      // A stopped process is killed all the same.
      program.kill('SIGKILL');
      await program.exited;
    }
  },
  // biome-ignore lint/correctness/noEmptyPattern: vitest wants one
  directory: async ({}, use) => {
    const directory = mkdtempSync(join(tmpdir(), 'shmloop-net-'));
    await use(directory);
    rmSync(directory, { recursive: true, force: true });
  },
});

/** A port that nobody has: to be squatted before its server listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The lines of a `SHMLOOP_SUMMARY`. */
export function summariesOf(file: string): Answer[] {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line));
}

export const isRoot = process.geteuid?.() === 0;

/** Both ends have switched, and this process answers. */
export function shared(pid: number): object {
  return { transport: 'shm', isShared: true, pids: [pid] };
}

/** The asking end is on TCP for this reason, so is the other, and this process answers. */
export function onTcp(reason: string, pid: number): object {
  return { transport: 'tcp', reason, isShared: false, pids: [pid] };
}

function inherited(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(SHMLOOP|NODE_|VITEST)/.test(name));
  return Object.fromEntries(kept);
}

/** Whether this machine lets us run a command: what a test needs of it. */
export function canRun(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** Commands that run the rest of their line in namespaces of its own. */
export const NAMESPACE = {
  net: ['unshare', '--net'],
  pid: ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'],
  user: ['unshare', '--user'],
};

export function canUnshare([command, ...args]: string[]): boolean {
  return canRun(command as string, ...args, 'true');
}
