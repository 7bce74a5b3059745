import { expect, test } from 'vitest';
import { expectNothingLeft, expectOrderlyDeath, SCENARIOS, SOON } from './deaths.js';
import { seedOf, useSandbox } from './support.js';

const sandbox = useSandbox();

for (const scenario of SCENARIOS) {
  for (const side of ['bind', 'connect']) {
    test(`the peer is killed (${scenario}): who ${side}s gets all that was published, then ECONNRESET`, async () => {
      const report = await sandbox.run('survivor', { scenario, side, rounds: 2, seed: seedOf(scenario) });
      for (const death of report.deaths) expectOrderlyDeath(death);
      expectNothingLeft(report);
    });
  }
}

for (const side of ['bind', 'connect']) {
  test(`a worker blocked in receiveSync, which ${side}s, gets all that was published, then ECONNRESET`, async () => {
    const report = await sandbox.run('blocking-survivor', { call: 'receiveSync', side, wait: 30 });
    expect(report, JSON.stringify(report)).toMatchObject({ how: 'threw', code: 'ECONNRESET', mappingsLeft: 0 });
    expect(report.fault).toBeUndefined();
    expect(report.count).toBeGreaterThanOrEqual(report.published);
    expect(report.milliseconds - report.ofKernel, JSON.stringify(report)).toBeLessThanOrEqual(SOON);
  });

  test(`a worker blocked in sendSync, which ${side}s, gets EPIPE when its peer is killed`, async () => {
    const report = await sandbox.run('blocking-survivor', { call: 'sendSync', side, wait: 30 });
    expect(report, JSON.stringify(report)).toMatchObject({ how: 'threw', code: 'EPIPE', mappingsLeft: 0 });
    expect(report.milliseconds - report.ofKernel, JSON.stringify(report)).toBeLessThanOrEqual(SOON);
  });
}

test('clients are killed while they connect: their server lives, and keeps nothing of them', async () => {
  const report = await sandbox.run('accepting-survivor', { rounds: 5, seed: seedOf('connecting clients') });
  expect(report.served).toBeGreaterThan(0);
  expect(report.filesLeft).toEqual([]);
  expect(report.descriptorsLeft, report.descriptors.join('\n')).toBe(0);
});

test('a server is killed while clients connect: they get a coded error soon, and its name goes', async () => {
  const report = await sandbox.run('refused-survivor', { rounds: 3, seed: seedOf('killed servers') });
  for (const code of Object.keys(report.codes)) {
    expect(['ECONNREFUSED', 'ECONNRESET', 'ERR_SHMLOOP_HANDSHAKE']).toContain(code);
  }
  expect(report.slowest).toBeLessThanOrEqual(SOON);
  expect(report).toMatchObject({ descriptorsLeft: 0, filesLeft: [] });
});

test.each(['lent', 'queued'])(
  'the peer is killed while room to reserve is waited for (%s): what it sent is there',
  async (how) => {
    const report = await sandbox.run('reserving-survivor', { how });
    expect(report).toMatchObject({ early: 'ECONNRESET', count: 100, code: 'ECONNRESET', closedBy: 'ECONNRESET' });
  },
);
