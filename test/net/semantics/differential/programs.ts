/** Random programs of socket calls, for both ends of a connection. */
import fc from 'fast-check';

export type Role = 'client' | 'server';

interface Chunk {
  size: number;
  encoding: string;
}

export type Step =
  | ({ do: 'write' } & Chunk)
  | { do: 'corked'; writes: Chunk[]; uncork: string }
  | { do: 'end'; size?: number; encoding?: string }
  | { do: 'destroy'; message?: string }
  | { do: 'destroySoon' | 'reset' | 'pause' | 'resume' | 'drain' | 'finish' }
  | { do: 'read'; size: number }
  | { do: 'set'; what: string; args: unknown[] }
  | { do: 'wait'; how: string }
  | { do: 'delay'; time: number };

export interface Mode {
  kind: 'data' | 'encoded' | 'readable' | 'pipe' | 'iterator' | 'none' | 'onread';
  encoding?: string;
  size?: number;
  isFixed?: boolean;
  stopEvery?: number;
}

export interface End {
  mode: Mode;
  options: { allowHalfOpen: boolean; noDelay: boolean };
}

/** What one end, or both at once, do before all comes to rest. */
export type Phase = Partial<Record<Role, Step[]>>;

export interface Program {
  client: End;
  server: End;
  phases: Phase[];
}

const encoding = fc.constantFrom('utf8', 'utf16le', 'latin1', 'ascii', 'hex', 'base64', 'base64url');
const size = fc.oneof(
  { weight: 8, arbitrary: fc.nat(300) },
  { weight: 3, arbitrary: fc.nat(20_000) },
  { weight: 1, arbitrary: fc.nat(30_000) },
);
const chunk = fc.record({
  size,
  encoding: fc.oneof({ weight: 2, arbitrary: fc.constant('buffer') }, { weight: 1, arbitrary: encoding }),
});
const moment = fc.constantFrom('now', 'tick', 'microtask', 'turn');
const kind = <T extends string>(...kinds: T[]) => fc.constantFrom(...kinds.map((name) => ({ do: name })));

/** Steps after which both ends go on. */
const peaceful: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: chunk.map((it) => ({ do: 'write' as const, ...it })) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('corked' as const),
      writes: fc.array(chunk, { maxLength: 6 }),
      uncork: moment,
    }),
  },
  { weight: 3, arbitrary: kind('pause', 'resume', 'resume', 'drain') },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('read' as const), size: fc.integer({ min: 1, max: 4000 }) }) },
  { weight: 2, arbitrary: moment.map((how) => ({ do: 'wait' as const, how })) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }).map((time) => ({ do: 'delay' as const, time })) },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom<{ what: string; args: unknown[] }>(
        { what: 'setTimeout', args: [60_000] },
        { what: 'setTimeout', args: [0] },
        { what: 'setNoDelay', args: [true] },
        { what: 'setNoDelay', args: [false] },
        { what: 'setKeepAlive', args: [true, 1000] },
        { what: 'ref', args: [] },
        { what: 'unref', args: [] },
      )
      .map((it) => ({ do: 'set' as const, ...it })),
  },
);

/** Steps that end one side, or both. */
const final: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ do: 'end' as const }) },
  { weight: 3, arbitrary: chunk.map((it) => ({ do: 'end' as const, ...it })) },
  { weight: 2, arbitrary: kind('destroy', 'destroySoon') },
  { weight: 1, arbitrary: fc.constant({ do: 'destroy' as const, message: 'mine' }) },
);

const anything = fc.oneof({ weight: 6, arbitrary: peaceful }, { weight: 1, arbitrary: final });
const talk = (step: fc.Arbitrary<Step>) => fc.array(step, { maxLength: 8 });
const FINAL = ['end', 'destroy', 'destroySoon', 'reset'];
const takesTime = (step: Step) =>
  ['delay', 'drain', 'read'].includes(step.do) ||
  (step.do === 'wait' && step.how === 'turn') ||
  (step.do === 'corked' && step.uncork === 'turn');
/** What comes after an end comes in the same turn: later the close that follows has happened, or it has not. */
const withoutWaits = (steps: Step[]) => {
  const end = steps.findIndex((step) => FINAL.includes(step.do));
  return steps.filter((step, i) => end < 0 || i <= end || !takesTime(step));
};
const alone = fc.oneof(final, kind('reset')).map((step) => [step]);
const mixed: fc.Arbitrary<Phase> = fc.oneof(
  fc.record({ client: talk(anything).map(withoutWaits) }),
  fc.record({ server: talk(anything).map(withoutWaits) }),
);
/** Only one end at a time ends anything, and resets while all is at rest: else TCP has more than one outcome. */
const orderly: fc.Arbitrary<Phase> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ client: talk(peaceful), server: talk(peaceful) }) },
  { weight: 1, arbitrary: fc.record({ client: alone }) },
  { weight: 1, arbitrary: fc.record({ server: alone }) },
);

const streamMode: fc.Arbitrary<Mode> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Mode>({ kind: 'data' }) },
  { weight: 1, arbitrary: encoding.map((name): Mode => ({ kind: 'encoded', encoding: name })) },
  { weight: 3, arbitrary: fc.constantFrom<Mode>({ kind: 'readable' }, { kind: 'pipe' }, { kind: 'iterator' }) },
  { weight: 1, arbitrary: fc.constant<Mode>({ kind: 'none' }) },
);
const onread: fc.Arbitrary<Mode> = fc.record({
  kind: fc.constant('onread' as const),
  size: fc.constantFrom(7, 100, 4096, 100_000),
  isFixed: fc.boolean(),
  stopEvery: fc.nat(3),
});
const options = fc.record({ allowHalfOpen: fc.boolean(), noDelay: fc.boolean() });

const program = (phase: fc.Arbitrary<Phase>): fc.Arbitrary<Program> =>
  fc.record({
    client: fc.record({
      mode: fc.oneof({ weight: 3, arbitrary: streamMode }, { weight: 1, arbitrary: onread }),
      options,
    }),
    server: fc.record({ mode: streamMode, options }),
    phases: fc.array(phase, { minLength: 1, maxLength: 5 }),
  });

/** Programs that write less than the rings hold. */
export const small = program(fc.oneof(mixed, orderly));
/** Programs that may write more, and end only when all that was written has been taken. */
export const large = program(orderly);
