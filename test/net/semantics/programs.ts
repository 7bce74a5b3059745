/** Random programs for both ends of a connection, without races that TCP itself would have. */
import fc from 'fast-check';

export interface Write {
  act: 'write';
  length: number;
  encoding: (typeof ENCODINGS)[number];
}

const ENCODINGS = ['buffer', 'buffer', 'utf8', 'latin1', 'ascii', 'ucs2', 'utf16le', 'hex', 'base64'] as const;

const length = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 100 }) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 20_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 400_000 }) },
);

function writeOf(lengths: fc.Arbitrary<number>) {
  return fc.record({ act: fc.constant('write' as const), length: lengths, encoding: fc.constantFrom(...ENCODINGS) });
}

const call = fc.oneof(
  fc.boolean().map((isOn) => ({ name: 'setNoDelay', args: [isOn] })),
  fc.boolean().map((isOn) => ({ name: 'setKeepAlive', args: [isOn, 1000] })),
  fc.constantFrom(0, 60_000).map((time) => ({ name: 'setTimeout', args: [time] })),
  fc.constantFrom('ref', 'unref').map((name) => ({ name, args: [] })),
);

const step = fc.oneof(
  { weight: 5, arbitrary: writeOf(length) },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant('cork' as const),
      writes: fc.array(writeOf(length), { maxLength: 6 }),
      isLate: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('pause' as const), time: fc.integer({ min: 0, max: 8 }) }) },
  { weight: 1, arbitrary: fc.constantFrom({ act: 'tick' as const }, { act: 'immediate' as const }) },
  { weight: 1, arbitrary: call.map((called) => ({ act: 'call' as const, ...called })) },
);

const steps = fc.array(step, { maxLength: 8 });

const server = fc.record({
  allowHalfOpen: fc.boolean(),
  reader: fc.constantFrom('flow', 'read', 'pipe'),
  readerEncoding: fc.constantFrom('buffer', 'buffer', 'hex', 'base64', 'latin1'),
});

const client = fc.record({
  allowHalfOpen: fc.boolean(),
  reader: fc.constantFrom('flow', 'read', 'pipe', 'onread'),
  readerEncoding: fc.constantFrom('buffer', 'buffer', 'hex', 'base64', 'latin1'),
  onread: fc.record({ size: fc.constantFrom(100, 1000, 4096, 65_536, 100_000), isFunction: fc.boolean() }),
});

const finish = fc.record({
  how: fc.constantFrom(
    ...(['end', 'end', 'end', 'both end', 'destroy', 'destroy with an error', 'reset', 'unread'] as const),
    ...(['write and destroy', 'write and destroySoon'] as const),
  ),
  by: fc.constantFrom('server', 'client'),
  // What TCP's buffers take at once: the rest of a longer write would be lost by destroy, or not, as it happens.
  data: writeOf(fc.integer({ min: 1, max: 10_000 })),
  answer: fc.option(writeOf(length)),
});

export const program = fc.record({
  server,
  client,
  phases: fc.array(fc.record({ server: steps, client: steps }), { maxLength: 3 }),
  finish,
});

export type ActedProgram = typeof program extends fc.Arbitrary<infer T> ? T : never;
