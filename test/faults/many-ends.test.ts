import { expect, test } from 'vitest';
import { useSandbox } from './support.js';

const sandbox = useSandbox();
const COUNT = 500;

for (const waiting of ['park', 'adaptive']) {
  test.each([
    ['closes them', 'close'],
    ['is killed', 'kill'],
  ])(
    `the peer of many channels ${'%s'}, and who waits by ${waiting} is busy: each is told, and nothing is left`,
    async (_, death) => {
      const report = await sandbox.run('many-ends', { waiting, death, count: COUNT });
      expect(report).toMatchObject({ missing: '', closed: COUNT, loops: COUNT, messages: COUNT, mappings: 0 });
      expect(report.codes).toEqual({ ECONNRESET: COUNT });
    },
  );
}
