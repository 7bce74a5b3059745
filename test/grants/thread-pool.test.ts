import { expect, test } from 'vitest';
import { type Channel, createRegion } from '../../src/index.js';
import { agentInProcess, type Tools } from '../support/agent.js';
import { newName } from '../support/rig.js';
import { useFarEnds } from './far-ends.js';

const far = useFarEnds();

/** Maps what it is told the reference of, works on it in the thread pool, and ends the mapping as it is told. */
const worker = async (peer: Channel, { told, say }: Tools) => {
  const { promisify } = process.getBuiltinModule('node:util');
  const { deflate } = process.getBuiltinModule('node:zlib');
  const { scrypt, webcrypto } = process.getBuiltinModule('node:crypto');
  const fs = process.getBuiltinModule('node:fs/promises');
  const [reference, how] = await told<[string, string]>();
  const mapping = await peer.map(reference);
  const { buffer } = mapping;
  const file = await fs.open('/dev/null', 'r+');
  const works: Promise<unknown>[] = [];
  for (let i = 0; i < 4; i++) {
    works.push(promisify(deflate)(buffer));
    works.push(webcrypto.subtle.digest('SHA-512', buffer));
    works.push(file.write(buffer));
    works.push(fs.readFile('/proc/self/maps').then((read) => read.copy(buffer)));
    works.push(promisify(scrypt)(buffer.subarray(0, 1 << 20), buffer.subarray(0, 100), 64));
  }
  say();
  if (how === 'close') mapping.close();
  else await new Promise<void>((resolve) => mapping.revoked.addEventListener('abort', () => resolve()));
  if (how === 'revoke') mapping.close();
  const outcomes = await Promise.allSettled(works);
  await file.close();
  return outcomes.length;
};

test.each(['close', 'revoke'])('%s while the thread pool works on the view: the work ends', async (how) => {
  const { channel, run } = await far.open(worker);
  using region = createRegion(8 << 20);
  region.buffer.fill('some text to be worked on ');
  const grant = await channel.grant(region);
  run.tell([grant.reference, how]);
  await run.said();
  await grant.revoke();
  expect(await run.result).toBe(20);
});

test('the death of the owner while the thread pool works on the view: the work ends', async () => {
  const name = newName();
  const [owner, holder] = await Promise.all([far.start(agentInProcess), far.start(agentInProcess)]);
  const owning = owner.start(
    async (channel: Channel, { shmloop, say }) => {
      const region = shmloop.createRegion(8 << 20);
      region.buffer.fill('some text to be worked on ');
      say((await channel.grant(region)).reference);
      await new Promise(() => undefined);
    },
    { role: 'bind', name },
  );
  await owning.bound;
  const run = holder.start(worker, { role: 'connect', name });
  run.tell([await owning.said(), 'death']);
  await run.said();
  await owner.kill();
  expect(await run.result).toBe(20);
});
