import { expect, test } from 'vitest';
import { TRANSPORTS, type Transport, usePrograms } from '../support.js';

const start = usePrograms();

/** What the program says at its end, once it is left alone. */
async function run(scene: string, transport: Transport) {
  const program = start('leaving', { transport, args: { scene } });
  await program.said();
  const last = program.said();
  const ended = await program.ended;
  return { last: await last, ...ended };
}

const scenes: [sentence: string, scene: string, last: object][] = [
  ['an unreferenced socket that reads does not keep the process', 'unreferenced', { exited: false }],
  ['nor one that is paused, and has all that it buffers', 'paused', { exited: false }],
  ['nor one that is unreferenced after traffic', 'unreferencedAfterTraffic', { exited: false }],
  ['nor an unreferenced server and its unreferenced socket', 'unreferencedServer', { exited: false }],
  ['a socket that reads keeps it until it ends', 'reading', { isLate: true }],
  ['one that is referenced again does so, too', 'referencedAgain', { isLate: true }],
  ['one with a write that waits keeps it until that is done', 'writing', { isDone: true }],
];

test.each(scenes)('%s', async (_, scene, last) => {
  const [shm, tcp] = await Promise.all(TRANSPORTS.map((transport) => run(scene, transport)));
  expect(tcp).toEqual({ last, code: 0, signal: null });
  expect(shm).toEqual(tcp);
});
