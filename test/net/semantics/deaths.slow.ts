import { describe, expect, test } from 'vitest';
import { type Death, die, type Survivor } from './deaths.js';
import { TRANSPORTS, usePrograms } from './support.js';

const start = usePrograms();
const TIMES = { shm: 34, tcp: 5 };
const VICTIMS = ['server', 'client'] as const;

async function repeat(death: Omit<Death, 'after'>, check: (survivor: Survivor) => void) {
  for (let i = 0; i < TIMES[death.transport]; i++) check(await die(start, { ...death, after: (i * 7) % 60 }));
}

// 34 × 6: some 200 deaths over shared memory.
describe.each(TRANSPORTS)('over %s', (transport) => {
  describe.each(VICTIMS)('when the %s is killed under load', (victim) => {
    test('a survivor that reads gets all that was taken, and then the end', async () => {
      await repeat({ transport, victim, victimSends: true, survivorSends: false }, (survivor) => {
        expect(survivor).toMatchObject({ isRight: true, ended: true });
        expect(survivor.error).toBeUndefined();
        expect(survivor.received).toBeGreaterThanOrEqual(survivor.completed);
      });
    });

    test.each([false, true])('a survivor that writes gets an error or the end; the victim wrote: %s', async (sends) => {
      await repeat({ transport, victim, victimSends: sends, survivorSends: true }, (survivor) => {
        expect(survivor.isRight).toBe(true);
        if (survivor.error === undefined) expect(survivor.ended).toBe(true);
        else expect(survivor.error).toMatch(/^(ECONNRESET|EPIPE)$/);
      });
    });
  });
});
