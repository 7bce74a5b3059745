import { test } from 'vitest';
import { expectNoGrowth, type Sample } from '../../support/growth.js';
import { type Program, usePrograms } from './support.js';

const start = usePrograms();
const BATCHES = 10;
const BATCH = 5000;

test('50,000 connections opened and closed in every way: no growth', async () => {
  const execArgv = ['--expose-gc'];
  const server = start('opening', { execArgv });
  const port = await server.said<number>();
  const client = start('opening', { execArgv, args: { port } });
  const samples = new Map<Program, Sample[]>([
    [client, []],
    [server, []],
  ]);
  for (let i = 0; i < BATCHES; i++) {
    for (const [program, taken] of samples) {
      program.tell(BATCH);
      taken.push(await program.said<Sample>());
    }
  }
  expectNoGrowth('connections', samples.get(client) as Sample[]);
  expectNoGrowth('connections, the other end', samples.get(server) as Sample[]);
});
