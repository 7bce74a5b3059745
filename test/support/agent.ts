import { fork } from 'node:child_process';
import type { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { Readable } from 'node:stream';
import type { finished, pipeline } from 'node:stream/promises';
import type { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import * as shmloop from '../../src/index.js';
import { closed, makeAgent } from '../fixtures/agent.mjs';

export { closed };

/** What the code of the far end has, besides its channel. It runs elsewhere: it sees nothing of the test's scope. */
export interface Tools<Args = unknown> {
  readonly args: Args;
  readonly shmloop: typeof shmloop;
  /** The next thing that the test tells. */
  told<T = unknown>(): Promise<T>;
  /** Tells the test something. */
  say(value?: unknown): void;
  /** Closes it after the test. */
  keep<T extends { close(): unknown }>(thing: T): T;
  hash(...chunks: Uint8Array[]): string;
  /** The error that a channel closes with, if any. */
  closed(channel: shmloop.Channel): Promise<Error | undefined>;
  describe(error: unknown): Description;
  readonly createHash: typeof createHash;
  readonly once: typeof once;
  readonly Readable: typeof Readable;
  readonly finished: typeof finished;
  readonly pipeline: typeof pipeline;
  readonly turn: typeof turn;
  readonly delay: typeof delay;
}

export interface Description {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly syscall?: string;
  readonly stack?: string;
  readonly cause?: Description;
}

export type Work<Subject, Args, T> = (subject: Subject, tools: Tools<Args>) => T | Promise<T>;

export interface Job<Args = unknown> {
  role: 'bind' | 'connect' | 'none';
  name?: string;
  options?: object;
  args?: Args;
}

type Message = { job?: number; event: string; value?: unknown };

/** What runs at the far end for one channel. */
export class Run<T> {
  /** What the far end's code returned; rejects with what it threw. */
  readonly result: Promise<T>;
  readonly bound: Promise<void>;
  readonly #said: unknown[] = [];
  readonly #listeners: ((value: unknown) => void)[] = [];
  readonly #events = new EventEmitter();

  constructor(readonly tell: (value?: unknown) => void) {
    this.bound = new Promise((resolve) => this.#events.once('bound', resolve));
    this.result = new Promise((resolve, reject) => {
      this.#events.once('done', resolve);
      this.#events.once('failed', (error) => reject(Object.assign(new Error(error.message), error)));
    });
    this.result.catch(() => undefined);
    this.#events.on('said', (value) => {
      const listener = this.#listeners.shift();
      if (listener === undefined) this.#said.push(value);
      else listener(value);
    });
  }

  on(event: string, value: unknown): void {
    this.#events.emit(event, value);
  }

  /** The next thing that the far end says; rejects if it fails. */
  said(): Promise<unknown> {
    if (this.#said.length > 0) return Promise.resolve(this.#said.shift());
    const said = new Promise((resolve) => this.#listeners.push(resolve));
    return Promise.race([said, this.result.then(() => said)]);
  }
}

/** Runs the far ends of channels somewhere. */
export class Agent {
  readonly #runs = new Map<number, Run<unknown>>();
  #jobs = 0;
  #onClean: (() => void) | undefined;

  constructor(
    readonly pid: number,
    readonly send: (message: object) => void,
    /** Ends it at once, if it is not the test itself. */
    readonly kill: () => Promise<unknown>,
  ) {}

  start<Subject, Args, T>(work: Work<Subject, Args, T>, job: Job<Args>): Run<T> {
    const id = ++this.#jobs;
    const run = new Run<T>((value) => this.send({ do: 'tell', job: id, value }));
    this.#runs.set(id, run as Run<unknown>);
    this.send({ ...job, job: id, source: work.toString() });
    return run;
  }

  configure(options: shmloop.Configuration): void {
    this.send({ do: 'configure', options });
  }

  received({ job, event, value }: Message): void {
    if (event === 'clean') this.#onClean?.();
    else if (job !== undefined) this.#runs.get(job)?.on(event, value);
  }

  /** Closes what tests left open. */
  async clean(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onClean = resolve;
      this.send({ do: 'clean' });
    });
    this.#runs.clear();
  }
}

/** An agent in this very domain. */
export async function agentHere(): Promise<Agent> {
  const receive = makeAgent(shmloop, (message) => agent.received(message));
  const agent = new Agent(
    process.pid,
    (message) => void receive(structuredClone(message)),
    async () => undefined,
  );
  return agent;
}

export async function agentInWorker(): Promise<Agent> {
  const worker = new Worker(fixture('agent-worker.mjs'));
  const agent = new Agent(
    process.pid,
    (message) => worker.postMessage(message),
    () => worker.terminate(),
  );
  await once(worker, 'message');
  worker.on('message', (message) => agent.received(message));
  worker.on('error', (error) => process.emit('uncaughtException', error));
  return agent;
}

export async function agentInProcess(): Promise<Agent> {
  const child = fork(fixture('agent-process.mjs'), { serialization: 'advanced' });
  const exit = once(child, 'exit');
  const agent = new Agent(
    child.pid as number,
    (message) => child.send(message),
    async () => {
      child.kill('SIGKILL');
      await exit;
    },
  );
  await once(child, 'message');
  child.on('message', (message) => agent.received(message as Message));
  return agent;
}

export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}
