import { expect, test } from 'vitest';
import { seedOf, useSandbox } from './support.js';

const sandbox = useSandbox();

for (const what of ['messages', 'requests', 'receiveSync', 'sendSync', 'connect', 'idle', 'bound']) {
  test(`workers are terminated (${what}): their peers see ECONNRESET, and nothing of them is left`, async () => {
    const report = await sandbox.run('terminated', { what, rounds: 5, seed: seedOf(what) });
    const { none, ECONNRESET, ...others } = report.codes;
    expect(others).toEqual({});
    if (what === 'connect') expect((ECONNRESET ?? 0) + (none ?? 0)).toBeGreaterThan(0);
    else expect({ none, ECONNRESET }).toEqual({ none: undefined, ECONNRESET: 25 });
    expect(report.mappingsLeft).toBe(0);
    expect(report.more, report.descriptors.join('\n')).toBe(0);
  });
}
