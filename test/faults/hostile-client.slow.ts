import { expect, test } from 'vitest';
import { failuresOf } from './attacks.js';
import { useSandbox } from './support.js';

const sandbox = useSandbox();

test('a client that floods its peer hurts nobody else', async () => {
  expect(await failuresOf('flood', sandbox)).toEqual([]);
});
