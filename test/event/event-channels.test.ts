import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EventCollector, EventNotifier } from '../../src/event/index.js';
import { EVENTS } from '../../src/layout.js';
import { Region } from '../../src/memory/index.js';

interface Events {
  readonly notifier: EventNotifier;
  readonly collector: EventCollector;
  readonly rings: () => number;
  readonly words: Int32Array;
}

/** The two halves of one direction of a link, each with a mapping of its own. */
function makeEvents(): Events {
  let rings = 0;
  const { region, descriptor } = Region.create(EVENTS.regionLength, 'plain');
  const theirs = Region.adopt(descriptor, EVENTS.regionLength, 'plain');
  return {
    notifier: new EventNotifier(theirs, () => rings++),
    collector: new EventCollector(region),
    rings: () => rings,
    words: new Int32Array(theirs.memory),
  };
}

function collect(collector: EventCollector): number[] {
  const ports: number[] = [];
  collector.collect((port) => ports.push(port));
  return ports.sort((a, b) => a - b);
}

const port = fc.oneof(
  fc.nat(EVENTS.maxChannels - 1),
  fc.nat(40),
  fc.constantFrom(0, 31, 32, 1023, 1024, EVENTS.maxChannels - 1),
);

describe('event channels', () => {
  test('tell exactly the ports that were notified, each once', () => {
    fc.assert(
      fc.property(fc.array(fc.array(port, { maxLength: 30 }), { maxLength: 6 }), (rounds) => {
        const { notifier, collector } = makeEvents();
        for (const ports of rounds) {
          for (const one of ports) notifier.notify(one);
          expect(collector.isPending()).toBe(ports.length > 0);
          expect(collect(collector)).toEqual([...new Set(ports)].sort((a, b) => a - b));
          expect(collector.isPending()).toBe(false);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('ring once for a sleeper, however many are notified, and never for one that is awake', () => {
    const { notifier, collector, rings } = makeEvents();
    notifier.notify(1);
    expect(rings()).toBe(0);
    collect(collector);
    expect(collector.sleep()).toBe(true);
    notifier.notify(1);
    notifier.notify(2);
    notifier.notify(1);
    expect(rings()).toBe(1);
    collector.wake();
    notifier.notify(3);
    expect(rings()).toBe(1);
    expect(collect(collector)).toEqual([1, 2, 3]);
  });

  test('let nobody sleep over a notification', () => {
    const { notifier, collector, rings } = makeEvents();
    notifier.notify(7);
    expect(collector.sleep()).toBe(false);
    notifier.notify(8);
    expect(rings()).toBe(0);
    expect(collect(collector)).toEqual([7, 8]);
    expect(collector.sleep()).toBe(true);
  });

  test('lose no notification in any order of steps: pending, or a ring for who sleeps', () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: port },
      { weight: 3, arbitrary: fc.constantFrom('sleep' as const, 'wake' as const, 'collect' as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { notifier, collector, rings } = makeEvents();
        const pending = new Set<number>();
        let isAsleep = false;
        let expected = 0;
        for (const one of steps) {
          if (typeof one === 'number') {
            notifier.notify(one);
            pending.add(one);
            if (isAsleep) expected++;
            isAsleep = false;
          } else if (one === 'sleep') {
            isAsleep = collector.sleep();
            expect(isAsleep).toBe(pending.size === 0);
          } else if (one === 'wake') {
            collector.wake();
            isAsleep = false;
          } else {
            expect(collect(collector)).toEqual([...pending].sort((a, b) => a - b));
            pending.clear();
          }
          expect(rings()).toBe(expected);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('bear anything that the peer writes, and tell of no port that cannot be', () => {
    const write = fc.tuple(fc.nat(EVENTS.pending + EVENTS.pendingWords + 31), fc.integer());
    fc.assert(
      fc.property(fc.array(write, { maxLength: 40 }), fc.integer(), (writes, selector) => {
        const { collector, words } = makeEvents();
        for (const [index, value] of writes) words[index] = value;
        words[EVENTS.selector] = selector;
        for (const one of collect(collector)) {
          expect(one).toBeGreaterThanOrEqual(0);
          expect(one).toBeLessThan(EVENTS.maxChannels);
        }
        expect(collector.isPending()).toBe(false);
        collector.sleep();
        collector.wake();
      }),
      { numRuns: 100 },
    );
  });

  test('fit into their region', () => {
    expect(4 * (EVENTS.pending + EVENTS.pendingWords)).toBeLessThanOrEqual(EVENTS.regionLength);
    expect(EVENTS.maxChannels).toBe(32 * EVENTS.pendingWords);
    expect(EVENTS.pendingWords / EVENTS.wordsPerGroup).toBe(32);
  });
});
