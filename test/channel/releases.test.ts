import { expect, test } from 'vitest';
import { Releases } from '../../src/channel/releases.js';
import type { Port } from '../../src/link/index.js';

/** A port whose socket takes a message only when it is said to. */
class SlowPort {
  readonly told: number[][] = [];
  sent: (() => void) | undefined;

  tell({ ring, text }: { ring: number; text: string }, _descriptor: undefined, sent: () => void): void {
    this.told.push([ring, ...text.split(' ').filter(Boolean).map(Number)]);
    this.sent = sent;
  }

  async flush(): Promise<void> {
    const { sent } = this;
    this.sent = undefined;
    sent?.();
    await Promise.resolve();
  }
}

test('what is released while the socket is full is told together, in order, each once', async () => {
  const port = new SlowPort();
  const releases = new Releases(port as unknown as Port, () => undefined);
  const ids = Array.from({ length: 130 }, (_, i) => 2 ** 28 - 1 - i);
  for (const id of ids) releases.add(id);
  expect(port.told).toEqual([[ids[0]]]);
  while (port.sent !== undefined) await port.flush();
  expect(port.told.map(({ length }) => length)).toEqual([1, 50, 50, 29]);
  expect(port.told.flat()).toEqual(ids);
});

test('so many wait, and it is said when fewer do', async () => {
  const port = new SlowPort();
  let freed = 0;
  const releases = new Releases(port as unknown as Port, () => freed++);
  for (let id = 0; releases.hasRoom; id++) releases.add(id);
  expect(freed).toBe(0);
  await port.flush();
  expect([freed, releases.hasRoom]).toEqual([1, true]);
  while (port.sent !== undefined) await port.flush();
  expect(freed).toBe(1);
  expect(port.told.flat().length).toBe(65_537);
});
