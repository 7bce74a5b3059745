/** What every death of a peer comes to, in the tests of single ones and of many. */
import { expect } from 'vitest';
import type { Report } from './support.js';

export const SCENARIOS = ['messages', 'iteration', 'requests', 'stream', 'large', 'blocked victim'];
/** From the kill to the survivor's `close` event, in milliseconds. */
export const SOON = 100;

export function expectOrderlyDeath(death: Report) {
  expect(death, JSON.stringify(death)).toMatchObject({ code: 'ECONNRESET', mappings: 0 });
  expect(death.fault).toBeUndefined();
  expect(death.received, JSON.stringify(death)).toBeGreaterThanOrEqual(death.published);
  // Until it closes the victim's pipe, the kernel has not ended it: that is the machine's part.
  expect(death.milliseconds - death.ofKernel, JSON.stringify(death)).toBeLessThanOrEqual(SOON);
}

export function expectNothingLeft(report: Report) {
  expect(report.filesLeft).toEqual([]);
  expect(report.mappingsLeft).toBe(0);
  expect(report.descriptorsLeft, report.descriptors.join('\n')).toBe(0);
}
