/** Plays programs at both ends of connections, in two processes a transport. */
import type { ActedProgram } from './programs.js';
import { Program, type Transport } from './support.js';

const DEADLINE = 10_000;

export interface Outcome {
  log: string[];
  done: [number | 'end', string][];
  hash: string;
  bytesRead: number;
  bytesWritten: number;
}

interface Message {
  port?: number;
  at?: string;
  outcome?: Outcome;
}

export class Stage {
  readonly #server: Program;
  readonly #client: Program;

  constructor(transport: Transport, env: NodeJS.ProcessEnv = {}) {
    this.#server = new Program('acting', { transport, env, args: { role: 'server' } });
    this.#client = new Program('acting', { transport, env, args: { role: 'client' } });
  }

  async play(program: ActedProgram): Promise<{ server: Outcome; client: Outcome }> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`hangs at ${this.#at}`)), DEADLINE);
    });
    const outcome = await Promise.race([this.#play(program), late]);
    clearTimeout(timer);
    return outcome;
  }

  async end(): Promise<void> {
    await Promise.all([this.#server.end(), this.#client.end()]);
  }

  #at = 'the start';

  async #play(program: ActedProgram) {
    this.#server.tell(program);
    const { port } = await this.#server.said<Message>();
    this.#client.tell({ ...program, port });
    for (;;) {
      const [server, client] = await Promise.all([this.#server.said<Message>(), this.#client.said<Message>()]);
      this.#at = `the ${server.at}`;
      if (server.outcome !== undefined) return { server: server.outcome, client: client.outcome as Outcome };
      this.#server.tell();
      this.#client.tell();
    }
  }
}
