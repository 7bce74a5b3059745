import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../src/errors.js';
import { EVENTS } from '../../src/layout.js';
import { decode, encode, MAX_MESSAGE, type Message, PROTOCOL_VERSION, reasonError } from '../../src/link/messages.js';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const message: fc.Arbitrary<Message> = fc.record({
  kind: fc.constantFrom<Message['kind'][]>('hello', 'welcome', 'ready', 'rejected', 'open', 'accept', 'refuse', 'bye'),
  direction: fc.constantFrom('both', 'send', 'receive', 'any'),
  port: fc.nat(EVENTS.maxChannels - 1),
  peerPort: fc.nat(EVENTS.maxChannels - 1),
  ring: u32,
  capacity: fc.constantFrom(0, 4096, 1 << 20, 1 << 26),
  maxMessageSize: u32,
  reason: fc.constantFrom('none', 'refused', 'direction', 'resources', 'version', 'credentials'),
  text: fc.string({ maxLength: 64, unit: 'binary-ascii' }),
});

describe('control messages', () => {
  test('say the same after they were sent', () => {
    fc.assert(
      fc.property(message, (sent) => {
        const bytes = encode(sent);
        expect(bytes.length).toBeLessThanOrEqual(MAX_MESSAGE);
        expect(decode(bytes)).toEqual(sent);
      }),
    );
  });

  test('of another version are told from garbage', () => {
    const bytes = encode({ kind: 'hello' }, PROTOCOL_VERSION + 1);
    expect(() => decode(bytes)).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_VERSION' }));
    bytes[0] = 0;
    expect(() => decode(bytes)).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_PROTOCOL' }));
  });

  test('of any bytes are an error, or within their ranges', () => {
    const changes = fc.array(fc.tuple(fc.nat(MAX_MESSAGE - 1), fc.nat(255)), { maxLength: 6 });
    fc.assert(
      fc.property(message, changes, fc.nat(MAX_MESSAGE), (sent, all, length) => {
        const bytes = Buffer.concat([encode(sent), Buffer.alloc(MAX_MESSAGE)]).subarray(0, length);
        for (const [at, value] of all) if (at < length) bytes[at] = value;
        let got: Message;
        try {
          got = decode(bytes);
        } catch (error) {
          expect(['ERR_SHMLOOP_PROTOCOL', 'ERR_SHMLOOP_VERSION']).toContain(codeOf(error));
          return;
        }
        expect(Math.max(got.port, got.peerPort)).toBeLessThan(EVENTS.maxChannels);
        expect(got.capacity & (got.capacity - 1)).toBe(0);
        expect([got.kind, got.direction, got.reason].every((field) => typeof field === 'string')).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['a capacity that is no power of two', { capacity: 5000 }],
    ['a capacity too small', { capacity: 2048 }],
    ['a capacity too large', { capacity: 1 << 27 }],
    ['a capacity far too large', { capacity: 0x80000000 }],
    ['a port beyond the last', { port: EVENTS.maxChannels }],
    ['a peer port beyond the last', { peerPort: 0xffffffff }],
  ])('with %s are refused', (_what, fields) => {
    const bytes = encode({ kind: 'open', ...fields });
    expect(() => decode(bytes)).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_PROTOCOL' }));
  });

  test('carry the reason of a refusal to who asked', () => {
    expect(codeOf(reasonError('refused', 'x'))).toBe('ECONNREFUSED');
    expect(codeOf(reasonError('none', 'x'))).toBe('ECONNREFUSED');
    expect(codeOf(reasonError('resources', 'x'))).toBe('ENOMEM');
    expect(codeOf(reasonError('direction', 'x'))).toBe('ERR_SHMLOOP_DIRECTION');
    expect(codeOf(reasonError('version', 'x'))).toBe('ERR_SHMLOOP_VERSION');
    expect(codeOf(reasonError('credentials', 'x'))).toBe('ERR_SHMLOOP_PEER_REJECTED');
  });
});
