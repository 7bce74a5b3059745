import { expect, test } from 'vitest';
import { usePrograms } from './support.js';

const start = usePrograms();
const CONNECTIONS = 160;

const NAME = 'a chain of hops, one of which hands its sockets on, loses no byte and no end: %d';

test.for([1, 2, 3, 4])(NAME, { timeout: 60_000 }, async (seed) => {
  const client = start('hopping', { args: { connections: CONNECTIONS, seed } });
  expect(await client.said()).toBe(CONNECTIONS);
});
