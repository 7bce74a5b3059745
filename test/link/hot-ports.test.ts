import { expect, test } from 'vitest';
import { HotPorts } from '../../src/link/hot-ports.js';
import type { Port, PortHandler } from '../../src/link/port.js';

/** A port whose channel has work so often, or for ever. */
function portWith(work: number): Port & { polls: number } {
  const port = {
    quiet: 0,
    isHot: false,
    isReleased: false,
    polls: 0,
    handler: {
      poll: () => {
        port.polls++;
        return work-- > 0;
      },
      arm: () => true,
    },
  };
  return port as unknown as Port & { polls: number };
}

function hotPortsOf(ports: Port[]): HotPorts {
  const hot = new HotPorts();
  for (const port of ports) hot.add(port);
  return hot;
}

test('where many have work, a look serves some, and all have had their turn before any has two', () => {
  const ports = Array.from({ length: 100 }, () => portWith(Number.POSITIVE_INFINITY));
  const hot = hotPortsOf(ports);
  expect(hot.poll()).toBe(true);
  expect(ports.reduce((sum, { polls }) => sum + polls, 0)).toBeLessThan(100);
  for (let looks = 0; looks < 20; looks++) {
    hot.poll();
    const polls = ports.map((port) => port.polls);
    expect(Math.max(...polls) - Math.min(...polls)).toBeLessThanOrEqual(1);
  }
});

test('one that is left of many is polled in the very next look', () => {
  const [last, ...others] = Array.from({ length: 100 }, () => portWith(Number.POSITIVE_INFINITY));
  const hot = hotPortsOf([last as Port, ...others]);
  hot.poll();
  for (const port of others) hot.remove(port);
  expect(hot.poll()).toBe(true);
  expect(last?.polls).toBe(1);
});

test('when all are removed in the middle of a look, those that come after are polled', () => {
  const ports = Array.from({ length: 40 }, () => portWith(Number.POSITIVE_INFINITY));
  const hot = hotPortsOf(ports);
  for (let looks = 0; looks < 40; looks++) {
    hot.poll();
    const last = portWith(1);
    last.handler = {
      ...(last.handler as PortHandler),
      poll: () => {
        for (const port of ports) hot.remove(port);
        return true;
      },
    };
    hot.add(last);
    hot.poll();
    hot.remove(last);
    const late = portWith(1);
    hot.add(late);
    hot.poll();
    expect(late.polls).toBe(1);
    for (const port of ports) hot.add(port);
  }
});

test('a port is not armed before it was polled for what it was added for', () => {
  const ports = Array.from({ length: 100 }, () => portWith(Number.POSITIVE_INFINITY));
  const hot = hotPortsOf(ports);
  hot.poll();
  expect(hot.arm()).toBe(false);
  const polled = ports.filter(({ polls }) => polls > 0);
  expect(hot.length).toBe(ports.length - polled.length);
  for (const port of polled) hot.add(port);
  expect(hot.arm()).toBe(false);
  expect(hot.length).toBe(ports.length);
});

test('ports that come and go keep none from its turn', () => {
  const steady = Array.from({ length: 50 }, () => portWith(Number.POSITIVE_INFINITY));
  const hot = hotPortsOf(steady);
  const looks = 200;
  for (let i = 0; i < looks; i++) {
    for (let k = 0; k < 20; k++) hot.add(portWith(k % 3));
    hot.poll();
  }
  // 32 a look, of at most 50 and those that came.
  for (const { polls } of steady) expect(polls).toBeGreaterThan(looks / 8);
});
