import { expect, test } from 'vitest';
import { useSandbox } from './support.js';

const sandbox = useSandbox();

test('the peer is stopped under traffic: this side stays responsive and bounded, and goes on after it', async () => {
  const peer = sandbox.start('counting-peer', { name: 'stopped' });
  await peer.next('bound');
  const report = await sandbox.run('stopping', { name: 'stopped', pid: peer.pid });
  const { whileStopped } = report;
  expect(whileStopped).toMatchObject({ wasRefused: true, isDrained: false });
  expect(whileStopped).toMatchObject({ request: 'ERR_SHMLOOP_TIMEOUT', aborted: 'TimeoutError' });
  // Its timers run: a stall is what this machine makes of one.
  expect(whileStopped.stall).toBeLessThan(200);
  expect(report.grown).toBeLessThan(16 * 1024 * 1024);
  expect(report.counted).toEqual({ next: report.sent });
  expect(report.reply).toBe('still there?');
  expect(await peer.next('closed')).toEqual({ kind: 'closed', next: report.sent });
});

for (const hasLink of [false, true]) {
  const where = hasLink ? 'on a link that is there' : 'with no link yet';
  test(`a signal gives up connecting to a stopped peer, ${where}, and then nothing keeps the process alive`, async () => {
    const peer = sandbox.start('counting-peer', { name: 'stopped' });
    await peer.next('bound');
    const client = sandbox.start('connecting-to-stopped', { name: 'stopped', hasLink, give: 'signal' });
    await client.next('ready');
    peer.kill('SIGSTOP');
    client.tell({});
    const report = await client.next('report');
    expect(report.code).toBe('TimeoutError');
    const reported = performance.now();
    expect(await client.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - reported).toBeLessThan(2000);
  });
}
