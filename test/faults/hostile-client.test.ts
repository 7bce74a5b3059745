import { expect, test } from 'vitest';
import { failuresOf } from './attacks.js';
import { useSandbox } from './support.js';

const sandbox = useSandbox();

for (const group of ['handshake', 'message', 'frame'] as const) {
  test(`a client that breaks the protocol (${group}) hurts nobody else`, async () => {
    expect(await failuresOf(group, sandbox)).toEqual([]);
  });
}
