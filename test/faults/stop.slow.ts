import { expect, test } from 'vitest';
import { useSandbox } from './support.js';

const sandbox = useSandbox();

for (const hasLink of [false, true]) {
  const where = hasLink ? 'on a link that is there' : 'with no link yet';
  test(`connecting to a stopped peer times out, ${where}, and works when it goes on`, async () => {
    const peer = sandbox.start('counting-peer', { name: 'stopped' });
    await peer.next('bound');
    const client = sandbox.start('connecting-to-stopped', { name: 'stopped', hasLink, give: 'continue' });
    await client.next('ready');
    peer.kill('SIGSTOP');
    client.tell({});
    const report = await client.next('report');
    expect(report.code).toBe('ERR_SHMLOOP_TIMEOUT');
    peer.kill('SIGCONT');
    client.tell({});
    expect(await client.next('continued')).toMatchObject({ reply: 'hello' });
    expect(await client.exited).toEqual({ code: 0, signal: null });
  });
}
