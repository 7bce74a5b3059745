// Plays the rounds of every target in this process, and watches over a healthy channel, its memory and the time.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { bind } from 'shmloop';
import { descriptors, sharedMappings } from '../faults/fixtures/lib.mjs';
import { Random } from './random.mjs';
import * as broadcast from './targets/broadcast.mjs';
import * as events from './targets/events.mjs';
import * as grants from './targets/grants.mjs';
import * as incoming from './targets/incoming.mjs';
import * as messages from './targets/messages.mjs';
import * as outgoing from './targets/outgoing.mjs';
import * as receiver from './targets/receiver.mjs';
import * as sender from './targets/sender.mjs';

/** To try something else: a module with `play(random)`, which plays one round and returns how much it changed. */
const TARGETS = { receiver, sender, incoming, outgoing, messages, events, grants, broadcast };
/** The target that is played over sockets, by another process. */
const WIRE = 'wire';
/** Of so many mutations one is made there, and a round has some four of them. */
const WIRE_SHARE = 100;
const MAX_WIRE = 20_000;
/** Rounds between two looks at the healthy channel. */
const SLICE = 500;
/** One round takes microseconds: so long is a hang, in milliseconds. */
const MAX_ROUND = 5000;
/** Beyond what there was after the first slices, in bytes. */
const MAX_GROWTH = 200 * 1024 * 1024;

const { mutations, seed, target, round } = JSON.parse(process.argv[2]);
assert.ok(target === undefined || target === WIRE || target in TARGETS, `no target is called ${target}`);
const names = target === undefined ? Object.keys(TARGETS) : [target].filter((name) => name !== WIRE);
const beside = await startHealthy();
let slices = 0;
let least = Number.POSITIVE_INFINITY;
let grown = 0;

for (const name of names) {
  const started = performance.now();
  let done = 0;
  let rounds = round === undefined ? 0 : Number(round);
  const last = round === undefined ? Number.POSITIVE_INFINITY : rounds + 1;
  while (done < mutations / names.length && rounds < last) {
    process.send(`round ${rounds} of ${name}`);
    for (const end = Math.min(rounds + SLICE, last); rounds < end; rounds++) done += playOnce(name, rounds);
    await beside.echo();
    look();
  }
  const seconds = (performance.now() - started) / 1000;
  console.log(`${name}: ${done} mutations in ${rounds} rounds, ${seconds.toFixed(1)} s`);
}
if (target === undefined || target === WIRE) await playWire();
console.log(
  `beside it: ${beside.echoes} echoes, all right; memory grew by ${(grown / 2 ** 20).toFixed(0)} MiB at most`,
);
beside.stop();

/** A server in this process, beset by another that starts links, and breaks them. */
async function playWire() {
  const server = await bind('beset', { ringSize: 4096, maxMessageSize: 100_000 });
  server.on('channel', (channel) => channel.on('message', () => undefined));
  const before = await settled();
  const count = round === undefined ? Math.ceil(Math.min(mutations / WIRE_SHARE, MAX_WIRE) / 4) : 1;
  const config = { seed: Number(seed), first: Number(round ?? 0), count };
  const script = fileURLToPath(new URL('attacker.mjs', import.meta.url));
  const attacker = fork(script, [JSON.stringify(config)], { execArgv: ['--expose-gc'] });
  let made;
  attacker.on('message', (progress) => {
    made = progress;
    process.send(`round ${progress.round} of ${WIRE}`);
  });
  const ended = once(attacker, 'exit');
  const started = performance.now();
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  while (!isOver) {
    await beside.echo();
    await delay(10);
  }
  assert.deepEqual(await ended, [0, null], 'the attacker failed');
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${WIRE}: ${made.mutations} mutations in ${count} links, ${seconds} s`);
  assert.deepEqual(await settled(before), before, 'descriptors or mappings are left');
  await server.close();
}

/** Descriptors and mappings; once they are as they were, or after a while. */
async function settled(wanted) {
  for (let looks = 0; ; looks++) {
    globalThis.gc();
    await delay(20);
    const now = { descriptors: descriptors(), mappings: sharedMappings() };
    if (wanted === undefined ? looks === 5 : looks === 300 || isDeepStrictEqual(now, wanted)) return now;
  }
}

function playOnce(name, number) {
  const started = performance.now();
  try {
    return TARGETS[name].play(new Random(Number(seed), name, number));
  } catch (error) {
    console.error(`again: npm run hostile -- --seed ${seed} --target ${name} --round ${number}`);
    throw error;
  } finally {
    assert.ok(performance.now() - started < MAX_ROUND, `round ${number} of ${name} took too long`);
  }
}

function look() {
  if (++slices % 20 !== 0) return;
  globalThis.gc();
  const { rss } = process.memoryUsage();
  least = Math.min(least, rss);
  grown = Math.max(grown, rss - least);
  assert.ok(grown < MAX_GROWTH, `memory grew by ${grown} bytes`);
}

/** A channel to an honest process. */
async function startHealthy() {
  const server = await bind('beside');
  const child = fork(fileURLToPath(new URL('beside.mjs', import.meta.url)), { execArgv: [] });
  const { value: channel } = await server[Symbol.asyncIterator]().next();
  const health = {
    echoes: 0,
    async echo() {
      const sent = Buffer.alloc(1 + ((health.echoes * 977) % 5000), health.echoes);
      assert.deepEqual(await channel.request(sent, { timeout: 10_000 }), sent);
      health.echoes++;
    },
    stop() {
      child.kill();
      process.exit(0);
    },
  };
  channel.on('close', (error) => {
    throw error ?? new Error('the healthy channel closed');
  });
  return health;
}
