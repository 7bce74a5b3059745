import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect } from 'vitest';

const REGISTER = fileURLToPath(new URL('../../../dist/register.js', import.meta.url));

/** What a program says at its end of its TCP connections. */
export interface Summary {
  switched: number;
  tcp: number;
  reasons: Record<string, number>;
  bytesShm: number;
  bytesTcp: number;
}

export interface Outcome<T> {
  /** What the client's program found. */
  result: T;
  /** What the server's program told meanwhile. */
  told: unknown[];
  client: Summary;
  server: Summary;
}

/** Rings that hold all that a scenario has under way, so that none of it overflows to TCP. */
export const LARGE_RINGS = { SHMLOOP_RING_SIZE: String(8 * 1024 * 1024) };

/** A program of `fixtures/` with the drop-in. */
export class Program {
  readonly told: unknown[] = [];
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  readonly #summary: string;
  readonly #answers = new Map<string, (value: unknown) => void>();
  #errors = '';

  constructor(name: string, args: string[], directory: string, env: NodeJS.ProcessEnv = {}) {
    this.#summary = join(directory, `${name}.${args.join('.')}.summary`);
    this.#child = fork(fileURLToPath(new URL(`fixtures/${name}.mjs`, import.meta.url)), args, {
      env: { ...process.env, SHMLOOP_UPGRADE: 'eager', SHMLOOP_SUMMARY: this.#summary, ...env },
      execArgv: ['--import', REGISTER],
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    this.#child.stderr?.on('data', (text) => {
      this.#errors += text;
    });
    this.#child.on('message', (message: object) => this.#hear(message));
    this.ended = new Promise((resolve, reject) => {
      this.#child.on('close', (code, signal) => {
        if (code === 0 && this.#errors === '') resolve();
        else reject(new Error(`${name} ended with ${code ?? signal}: ${this.#errors}`));
      });
    });
    this.ended.catch(() => undefined);
  }

  /** The value that it sends by this name; rejects if it ends without. */
  answer<T>(name: 'port' | 'result'): Promise<T> {
    const answer = new Promise<T>((resolve) => this.#answers.set(name, resolve as (value: unknown) => void));
    return Promise.race([
      answer,
      this.ended.then(() => {
        throw new Error(`it ended without a ${name}`);
      }),
    ]);
  }

  /** Asks it to end, as soon as its connections are closed. */
  end(): Promise<void> {
    this.#child.send('end');
    return this.ended;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended.catch(() => undefined);
  }

  get summary(): Summary {
    const { pid, ...summary } = JSON.parse(readFileSync(this.#summary, 'utf8'));
    expect(pid).toBe(this.#child.pid);
    return summary;
  }

  #hear(message: object): void {
    for (const [name, value] of Object.entries(message)) {
      if (name === 'event') this.told.push(value);
      else this.#answers.get(name)?.(value);
    }
  }
}

export interface PairOptions {
  /** Of both programs. */
  env?: NodeJS.ProcessEnv;
  serverArgs?: string[];
  /** Of the server alone. */
  serverEnv?: NodeJS.ProcessEnv;
}

/** Programs that end with their test. */
export function usePrograms() {
  let directory: string;
  const programs: Program[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'shmloop-packages-'));
  });
  afterEach(async () => {
    await Promise.all(programs.splice(0).map((program) => program.kill()));
    rmSync(directory, { recursive: true });
  });

  function start(name: string, args: string[], env?: NodeJS.ProcessEnv): Program {
    const program = new Program(name, args, directory, env);
    programs.push(program);
    return program;
  }

  /** Runs a client's program against a port. */
  async function runClient<T>(name: string, scenario: string, port: number | string, env?: NodeJS.ProcessEnv) {
    const client = start(name, [scenario, String(port)], env);
    const result = await client.answer<T>('result');
    await client.ended;
    return { result, client: client.summary };
  }

  /** Runs a scenario of a client's program with a server's program, up to the end of both. */
  async function runPair<T>(
    serverName: string,
    clientName: string,
    scenario: string,
    { env, serverArgs = [], serverEnv }: PairOptions = {},
  ): Promise<Outcome<T>> {
    const server = start(serverName, serverArgs, { ...env, ...serverEnv });
    const port = await server.answer<number>('port');
    const { result, client } = await runClient<T>(clientName, scenario, port, env);
    await server.end();
    return { result, told: server.told, client, server: server.summary };
  }

  return { runPair, runClient };
}

/** Both ends say that so many connections switched, and that none did not. */
export function expectSwitched({ client, server }: Outcome<unknown>, count = 1): void {
  expect({ client, server }).toMatchObject({
    client: { switched: count, tcp: 0, reasons: {} },
    server: { switched: count, tcp: 0, reasons: {} },
  });
}

/**
 * Both carried most of so many bytes in rings. Not all: once a reader had taken everything, what follows begins at the
 * ring's start again, and until it has run for that there is little room: TCP takes the rest of a burst.
 */
export function expectCarried({ client, server }: Outcome<unknown>, sent: number): void {
  expect(client.bytesShm).toBeGreaterThanOrEqual(sent / 2);
  expect(server.bytesShm).toBeGreaterThanOrEqual(sent / 2);
}

/** They say the same of how many bytes there were, so that none was lost or came twice. */
export function expectSameCount({ client, server }: Outcome<unknown>): void {
  expect(server.bytesShm + server.bytesTcp).toBe(client.bytesShm + client.bytesTcp);
}
