import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { usableCpus } from '../../src/event/cpus.js';
import { Waiting } from '../../src/event/waiting.js';

vi.mock('../../src/event/cpus.js', () => ({ usableCpus: vi.fn(() => 2) }));

/** Milliseconds of the fake clock. */
let now = 0;
const TICK = 0.001;
const LONGEST_POLL = 0.25;

beforeEach(() => {
  now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.mocked(usableCpus).mockReturnValue(2);
});

/** Waits as long for work. @returns for how long of that it polled, in milliseconds */
function wait(waiting: Waiting, milliseconds: number): number {
  const since = now;
  const end = now + milliseconds;
  while (now < end && waiting.shouldPoll()) now += TICK;
  const polled = now - since;
  now = Math.max(now, end);
  waiting.worked(now);
  now += TICK;
  return polled;
}

function waits(waiting: Waiting, count: number, milliseconds: number): number[] {
  return Array.from({ length: count }, () => wait(waiting, milliseconds));
}

describe('adaptive waiting', () => {
  test('begins with parking', () => {
    expect(wait(new Waiting(), 1)).toBe(0);
  });

  test('polls once waits turn out to be short', () => {
    const waiting = new Waiting();
    const polled = waits(waiting, 20, 0.01).slice(5);
    for (const milliseconds of polled) expect(milliseconds).toBeGreaterThanOrEqual(0.009);
  });

  test('does not poll where waits are long', () => {
    const polled = waits(new Waiting(), 100, 5);
    expect(Math.max(...polled)).toBe(0);
  });

  test('polls for a bounded time when the next wait is long, and then parks', () => {
    const waiting = new Waiting();
    waits(waiting, 20, 0.01);
    expect(wait(waiting, 1000)).toBeLessThanOrEqual(LONGEST_POLL);
    expect(wait(waiting, 1000)).toBe(0);
  });

  test('leaves polling alone where it fails again and again by a little', () => {
    const waiting = new Waiting();
    const polled = waits(waiting, 2000, 0.15).slice(200);
    expect(polled.filter((milliseconds) => milliseconds > 0).length).toBeLessThan(polled.length / 20);
  });

  test('comes back to polling when waits get short again', () => {
    const waiting = new Waiting();
    waits(waiting, 200, 0.15);
    waits(waiting, 50, 5);
    waits(waiting, 2000, 0.01);
    expect(wait(waiting, 0.01)).toBeGreaterThanOrEqual(0.009);
  });

  test('never polls with less than two CPUs', () => {
    vi.mocked(usableCpus).mockReturnValue(1.5);
    const waiting = new Waiting();
    expect(Math.max(...waits(waiting, 50, 0.01))).toBe(0);
    expect(waiting.mayPoll).toBe(false);
  });

  test('work without a wait before it teaches nothing', () => {
    const waiting = new Waiting();
    for (let i = 0; i < 100; i++) waiting.worked(now);
    expect(waiting.shouldPoll()).toBe(false);
  });

  test('forgets what it learned when the mode is set', () => {
    const waiting = new Waiting();
    waits(waiting, 20, 0.01);
    waiting.mode = 'adaptive';
    expect(wait(waiting, 0.01)).toBe(0);
  });
});

test('parking never polls', () => {
  const waiting = new Waiting();
  waiting.mode = 'park';
  expect(Math.max(...waits(waiting, 50, 0.01))).toBe(0);
  expect(waiting.mayPoll).toBe(false);
});

test('spinning always polls, on one CPU too', () => {
  vi.mocked(usableCpus).mockReturnValue(1);
  const waiting = new Waiting();
  waiting.mode = 'spin';
  for (let i = 0; i < 10; i++) {
    expect(waiting.shouldPoll()).toBe(true);
    now += 1000;
  }
});

test.each(['', 'PARK', 'poll', undefined, 1, null])('a mode cannot be %j', (mode) => {
  const waiting = new Waiting();
  expect(() => {
    waiting.mode = mode as never;
  }).toThrow(expect.objectContaining({ code: 'ERR_SHMLOOP_INVALID_ARGUMENT' }));
  expect(waiting.mode).toBe('adaptive');
});
