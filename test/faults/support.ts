/** Runs fixtures as real processes, each test with a runtime directory of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach } from 'vitest';

export interface FixtureOptions {
  env?: Record<string, string>;
  /** A command that runs the rest of its line, put before Node's. */
  wrap?: string[];
  uid?: number;
  execArgv?: string[];
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** What fixtures report: plain objects, told apart by `kind`. */
// biome-ignore lint/suspicious/noExplicitAny: each fixture has its own shape, asserted on by its test
export type Report = any;

/** A child process that runs `fixtures/<name>.mjs` and talks to its test over Node's own IPC. */
export class Fixture {
  readonly process: ChildProcess;
  readonly exited: Promise<Exit>;
  readonly #reports: Report[] = [];
  #wake: (() => void) | undefined;
  #exit: Exit | undefined;
  #errors = '';

  constructor(name: string, config: object, { env = {}, wrap = [], uid, execArgv = [] }: FixtureOptions) {
    const script = fileURLToPath(new URL(`fixtures/${name}.mjs`, import.meta.url));
    const node = [process.execPath, '--expose-gc', ...execArgv, script, JSON.stringify({ ...config, uid })];
    const [command = '', ...args] = [...wrap, ...node];
    const { NODE_OPTIONS: _, ...inherited } = process.env;
    this.process = spawn(command, args, {
      env: { ...inherited, ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.process.stdout?.resume();
    this.process.stderr?.on('data', (chunk) => {
      this.#errors += chunk;
    });
    this.process.on('message', (report) => {
      this.#reports.push(report);
      this.#wake?.();
    });
    this.exited = new Promise((resolve) => {
      // `close`: after the last report.
      this.process.once('close', (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
        this.#wake?.();
      });
    });
  }

  get pid(): number {
    return this.process.pid as number;
  }

  /** What it wrote to its standard error. */
  get errors(): string {
    return this.#errors;
  }

  /** The next report, which must be of that kind. */
  async next(kind: string): Promise<Report> {
    while (this.#reports.length === 0) {
      if (this.#exit !== undefined) {
        throw new Error(`exited (${this.#exit.code ?? this.#exit.signal}) before '${kind}':\n${this.#errors}`);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const report = this.#reports.shift();
    if (report.kind !== kind) throw new Error(`expected '${kind}', got ${JSON.stringify(report)}\n${this.#errors}`);
    return report;
  }

  tell(message: object): void {
    this.process.send(message);
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }
}

/** A fresh runtime directory for each test of a file, and an end for whatever it started. */
export function useSandbox() {
  let directory = '';
  const fixtures: Fixture[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'shmloop-faults-'));
    chmodSync(directory, 0o700);
  });
  afterEach(async () => {
    for (const fixture of fixtures.splice(0)) {
      // A stopped process is killed all the same.
      fixture.kill('SIGKILL');
      await fixture.exited;
    }
    rmSync(directory, { recursive: true, force: true });
  });
  const start = (name: string, config: object = {}, options: FixtureOptions = {}) => {
    const env = { XDG_RUNTIME_DIR: directory, ...options.env };
    const fixture = new Fixture(name, config, { ...options, env });
    fixtures.push(fixture);
    return fixture;
  };
  return {
    get directory() {
      return directory;
    },
    start,
    /** Runs a fixture to its end. @returns its one report */
    async run(name: string, config: object = {}, options: FixtureOptions = {}): Promise<Report> {
      const fixture = start(name, config, options);
      const report = await fixture.next('report');
      const { code, signal } = await fixture.exited;
      if (code !== 0) throw new Error(`${name} exited with ${code ?? signal}:\n${fixture.errors}`);
      return report;
    },
  };
}

/** Seeds for runs with random parts: `SHMLOOP_SEED` repeats one. */
export function seedOf(label: string): number {
  const seed = Number(process.env.SHMLOOP_SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`${label}: SHMLOOP_SEED=${seed}`);
  return seed;
}

export function percentile(values: number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] as number;
}
