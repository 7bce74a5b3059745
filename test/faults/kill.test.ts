import { expect, test } from 'vitest';
import { type Report, seedOf, useSandbox } from './support.js';

const sandbox = useSandbox();
const SCENARIOS = ['messages', 'iteration', 'requests', 'stream', 'large', 'blocked victim'];
/** From the kill to the survivor's `close` event, in milliseconds. */
const SOON = 100;

for (const scenario of SCENARIOS) {
  for (const side of ['bind', 'connect']) {
    test(`the peer is killed under traffic (${scenario}); the survivor, which ${side}s, gets all and then ECONNRESET`, async () => {
      const report = await sandbox.run('survivor', { scenario, side, rounds: 2, seed: seedOf(scenario) });
      for (const death of report.deaths) expectOrderlyDeath(death);
      expectNothingLeft(report);
    });
  }
}

function expectOrderlyDeath(death: Report) {
  expect(death, JSON.stringify(death)).toMatchObject({ code: 'ECONNRESET', mappings: 0 });
  expect(death.fault).toBeUndefined();
  expect(death.received, JSON.stringify(death)).toBeGreaterThanOrEqual(death.published);
  expect(death.milliseconds).toBeLessThanOrEqual(SOON);
}

function expectNothingLeft(report: Report) {
  expect(report.filesLeft).toEqual([]);
  expect(report.mappingsLeft).toBe(0);
  expect(report.descriptorsLeft, report.descriptors.join('\n')).toBe(0);
}
