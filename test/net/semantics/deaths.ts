/** Kills one end of a connection under load, and hears from the other. */
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import type { Start, Transport } from './support.js';

export interface Death {
  transport: Transport;
  victim: 'server' | 'client';
  /** Whether that end writes; whether the survivor does. */
  victimSends: boolean;
  survivorSends: boolean;
  /** Milliseconds under load. */
  after: number;
}

export interface Survivor {
  received: number;
  isRight: boolean;
  ended: boolean;
  error?: string;
  /** Bytes of which the victim had heard that they were taken. */
  completed: number;
}

export async function die(start: Start, death: Death): Promise<Survivor> {
  const { transport, victim, victimSends, survivorSends, after } = death;
  const directory = mkdtempSync(join(tmpdir(), 'shmloop-deaths-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const argsOf = (role: string) => ({
    record: join(directory, role),
    sends: role === victim ? victimSends : survivorSends,
  });
  const server = start('loaded', { transport, args: argsOf('server') });
  const port = await server.said<number>();
  const client = start('loaded', { transport, args: { ...argsOf('client'), port } });
  await Promise.all([server.said(), client.said()]);
  await delay(after);
  const [dead, alive] = victim === 'server' ? [server, client] : [client, server];
  await dead.end();
  const survivor = await alive.said<Survivor>();
  await alive.end();
  return { ...survivor, completed: recorded(join(directory, victim)) };
}

function recorded(file: string): number {
  const bytes = Buffer.alloc(8);
  const fd = openSync(file, 'r');
  readSync(fd, bytes, 0, 8, 0);
  closeSync(fd);
  return bytes.readDoubleLE();
}
