import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { markFor } from '../../src/net/identity.js';
import { isLocalTarget } from '../../src/net/local-target.js';
import { decode, encode, type NetMessage } from '../../src/net/proposal.js';
import { REASONS, type Reason } from '../../src/net/reasons.js';
import { changeSettings, isPortAllowed, settings } from '../../src/net/settings.js';
import { parseEnd, textOf } from '../../src/net/tuple.js';

test('every reason for TCP is documented, with what it means, and no others', () => {
  const document = readFileSync(new URL('../../docs/transparency.md', import.meta.url), 'utf8');
  const section = document.slice(document.indexOf('## Reasons for TCP'));
  const rows = [...section.matchAll(/^\| `(\w+)` +\| (.*?) +\|$/gm)].map(([, name, meaning]) => [name, meaning]);
  expect(Object.fromEntries(rows)).toEqual(REASONS);
});

describe('what two domains say to each other', () => {
  const address = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  const port = fc.integer({ min: 1, max: 65_535 });
  const id = fc.nat();
  const hex = (length: number) =>
    fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
  const claim = fc.record({ cookie: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), descriptor: fc.nat() });
  const tuple = fc.tuple(address, port, port).map(([own, one, other]) => ({
    local: { address: Buffer.from(own), port: one },
    remote: { address: Buffer.from(own), port: other },
  }));
  const role = fc.constantFrom('proposer' as const, 'acceptor' as const);
  const message: fc.Arbitrary<NetMessage> = fc.oneof(
    fc.record({ kind: fc.constant('propose' as const), id, tuple, claim, nonce: hex(32) }),
    fc.record({ kind: fc.constant('agree' as const), id, claim, nonce: hex(32) }),
    fc.record({
      kind: fc.constant('decline' as const),
      id,
      reason: fc.constantFrom(...(Object.keys(REASONS) as Reason[])),
    }),
    fc.record({ kind: fc.constant('withdraw' as const), id }),
    fc.record({ kind: fc.constant('challenge' as const), id, role, nonce: hex(32) }),
    fc.record({ kind: fc.constant('marked' as const), id, role }),
    fc.record({ kind: fc.constant('moved' as const), session: hex(48) }),
  );

  test('comes out as it went in, within the length of a control message', () => {
    fc.assert(
      fc.property(message, (sent) => {
        const text = encode(sent);
        expect(text.length).toBeLessThan(500);
        expect(decode(text)).toEqual(sent);
      }),
    );
  });

  test('is nothing where a character was changed into what no message has', () => {
    fc.assert(
      fc.property(message, fc.nat(), fc.constantFrom('\0', ';', 'Ä', '\n'), (sent, at, character) => {
        const text = encode(sent);
        const start = text.indexOf(' ') + 1;
        const place = start + (at % (text.length - start));
        const changed = text.slice(0, place) + character + text.slice(place + 1);
        expect(decode(changed)).toBeUndefined();
      }),
    );
  });

  test('never throws, whatever a peer says', () => {
    const words = fc.constantFrom(
      'net',
      'propose',
      'agree',
      'moved',
      '1',
      '-1',
      '9'.repeat(40),
      '7f000001:80',
      'ff',
      '',
    );
    fc.assert(fc.property(fc.array(fc.oneof(words, fc.string())), (parts) => void decode(parts.join(' '))));
  });
});

test('an end is read back as it was written, and nothing else is one', () => {
  for (const text of ['7f000001:80', '00000000000000000000000000000001:65535']) {
    expect(textOf(parseEnd(text) as never)).toBe(text);
  }
  for (const text of ['', '7f000001', '7f000001:0', '7f000001:65536', '7f0001:80', '7F000001:80', ' 7f000001:80']) {
    expect(parseEnd(text), text).toBeUndefined();
  }
});

test('a mark is for one nonce and one link, and no speed that anybody would limit to', () => {
  const marks = [markFor('a', 1, 2), markFor('a', 2, 1), markFor('b', 1, 2), markFor('a', 1, 3)];
  expect(new Set(marks).size).toBe(4);
  for (const mark of marks) expect(mark >> 62n).toBe(1n);
});

describe('settings', () => {
  const before = { ...settings };

  test.each([
    ['', 80, true],
    ['80', 80, true],
    ['80', 81, false],
    ['8000-8100, 9000', 8050, true],
    ['8000-8100, 9000', 9000, true],
    ['8000-8100, 9000', 8999, false],
    ['!5432', 5432, false],
    ['!5432', 80, true],
    ['1-65535,!5432', 5432, false],
  ])('ports %j: %d is %s', (ports, port, isAllowed) => {
    changeSettings({ ports });
    expect(isPortAllowed(port)).toBe(isAllowed);
    changeSettings(before);
  });

  test.each([
    { upgrade: 'soon' as never },
    { ports: '80-79' },
    { ports: 'http' },
    { ports: '70000' },
    { ringSize: 5000 },
    { memory: -1 },
  ])('that cannot be are refused, and nothing is changed: %o', (change) => {
    expect(() => changeSettings({ challenge: true, ...change })).toThrow(
      expect.objectContaining({ code: 'ERR_SHMLOOP_INVALID_ARGUMENT' }),
    );
    expect(settings).toEqual(before);
  });
});

test.each([
  [[{ host: '127.0.0.1', port: 1 }], true],
  [[443, '::1'], true],
  [[443], true],
  [[{ port: 443, host: 'localhost' }], true],
  [[443, 'example.org', {}], false],
  [[{ host: '192.0.2.1' }], false],
  [[{ path: '/tmp/socket' }], false],
])('whether %j names this host', (args, isLocal) => {
  expect(isLocalTarget(args)).toBe(isLocal);
});
