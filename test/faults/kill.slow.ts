import { expect, test } from 'vitest';
import { expectNothingLeft, expectOrderlyDeath, SCENARIOS } from './deaths.js';
import { percentile, type Report, seedOf, useSandbox } from './support.js';

const sandbox = useSandbox();
/** Of each traffic and each side: 504 in all. */
const ROUNDS = 42;

for (const scenario of SCENARIOS) {
  for (const side of ['bind', 'connect']) {
    test(`${ROUNDS} peers are killed at random (${scenario}); who ${side}s gets all, then ECONNRESET`, async () => {
      const seed = seedOf(`${scenario}, ${side}`);
      const report = await sandbox.run('survivor', { scenario, side, rounds: ROUNDS, seed });
      const times = report.deaths.map((death: Report) => death.milliseconds);
      const ownTimes = report.deaths.map((death: Report) => death.milliseconds - death.ofKernel);
      console.log(
        `${scenario}, ${side}: close after p50 ${percentile(times, 0.5).toFixed(1)} ms, max ${Math.max(...times).toFixed(1)} ms; ` +
          `after the kernel closed a pipe of the victim's: max ${Math.max(...ownTimes).toFixed(1)} ms`,
      );
      for (const death of report.deaths) expectOrderlyDeath(death);
      expectNothingLeft(report);
    });
  }
}

test('100 clients are killed at random while they connect: their server keeps nothing of them', async () => {
  const report = await sandbox.run('accepting-survivor', { rounds: 100, seed: seedOf('connecting clients') });
  expect(report.served).toBeGreaterThan(0);
  expect(report).toMatchObject({ descriptorsLeft: 0, filesLeft: [] });
});

test('50 servers are killed at random while clients connect: these get coded errors, and keep nothing', async () => {
  const report = await sandbox.run('refused-survivor', { rounds: 50, seed: seedOf('killed servers') });
  for (const code of Object.keys(report.codes)) {
    expect(['ECONNREFUSED', 'ECONNRESET', 'ERR_SHMLOOP_HANDSHAKE']).toContain(code);
  }
  expect(report).toMatchObject({ descriptorsLeft: 0, filesLeft: [] });
});
