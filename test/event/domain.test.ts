import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { afterEach, expect, test, vi } from 'vitest';
import { domain, type Pollable } from '../../src/event/index.js';

let now = 0;

/** Has so much to do; each time takes as long as it is told. */
class Work implements Pollable {
  readonly isReferenced = true;
  polls = 0;

  constructor(
    public left: number,
    private readonly milliseconds = 0,
  ) {}

  poll(): boolean {
    this.polls++;
    now += this.milliseconds;
    return this.left-- > 0;
  }

  sleep(): boolean {
    return this.left <= 0;
  }
}

afterEach(() => {
  domain.waiting = 'adaptive';
  vi.restoreAllMocks();
});

function begin(work: Work): Work {
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  domain.waiting = 'park';
  domain.wake(work);
  return work;
}

test('who sleeps at once when there is nothing goes on while there is something, and looks once more', () => {
  expect(begin(new Work(5)).polls).toBe(6);
});

test('what has much to do leaves the event loop its turns', async () => {
  const work = begin(new Work(100));
  expect(work.polls).toBe(32);
  await turnOfTheLoop();
  expect(work.polls).toBe(64);
  while (work.left > 0) await turnOfTheLoop();
});

test('what takes long is done less often in a turn', async () => {
  const work = begin(new Work(4, 1.5));
  expect(work.polls).toBe(2);
  while (work.left > 0) await turnOfTheLoop();
});
