import fc from 'fast-check';
import { expect, test } from 'vitest';
import { usePrograms } from '../support.js';
import { large, type Program, small } from './programs.js';
import { type Ahead, ROLES, type Seen, Stage, type Variant, withoutRoom } from './stage.js';

const start = usePrograms();
/** What TCP does may differ from run to run: by who is ahead, if by nothing else. */
const RUNS_OF_TCP = 20;

/** The seed and the path that a failure prints play it again; with more runs it looks further. */
const { SHMLOOP_TEST_SEED: seed, SHMLOOP_TEST_PATH: path, SHMLOOP_TEST_RUNS: runs } = process.env;
const parameters = {
  numRuns: Number(runs ?? 40),
  endOnFailure: path === undefined,
  ...(seed === undefined ? {} : { seed: Number(seed) }),
  ...(path === undefined ? {} : { path }),
};
/** A busy machine plays less, in milliseconds. */
const ENOUGH = runs === undefined ? 15_000 : Number.POSITIVE_INFINITY;

type Case = [how: string, variant: Variant, programs: fc.Arbitrary<Program>, compared?: (seen: Seen[]) => Seen[]];

const cases: Case[] = [
  ['once it has switched', { transport: 'shm' }, small],
  ['while it switches at once', { transport: 'shm', isEarly: true }, small],
  ['while it switches under way', { transport: 'shm', isEarly: true, mode: 'auto' }, small],
  ['when it writes more than its rings hold', { transport: 'shm', ringSize: 4096 }, large, withoutRoom],
];

const anyAhead = ({ phases }: Program): Ahead =>
  phases.map(() => [...ROLES, undefined][Math.floor(Math.random() * (ROLES.length + 1))]);

test.each(cases)(
  'a random program sees what it sees over TCP, %s',
  async (_, variant, programs, compared) => {
    const tcp = new Stage(start, { transport: 'tcp' });
    const shm = new Stage(start, variant);
    const play = async (stage: Stage, it: Program, ahead: Ahead = []) =>
      (compared ?? ((seen) => seen))(await stage.play(it, ahead));
    const end = performance.now() + ENOUGH;
    const property = fc.asyncProperty(programs, async (it) => {
      if (performance.now() > end) return;
      const expected = await play(tcp, it);
      const seen = await play(shm, it);
      const outcomes = [JSON.stringify(expected)];
      const isKnown = () => outcomes.includes(JSON.stringify(seen));
      for (let i = 1; i < RUNS_OF_TCP && !isKnown(); i++)
        outcomes.push(JSON.stringify(await play(tcp, it, anyAhead(it))));
      if (!isKnown()) expect(seen).toEqual(expected);
    });
    await fc.assert(property, parameters);
  },
  runs === undefined ? 120_000 : 0,
);
