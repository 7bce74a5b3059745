import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Queue } from '../../src/channel/queue.js';

type Step = 'push' | 'shift' | 'remove' | 'peek';

test('a queue does as an array does', () => {
  const step = fc.oneof(
    { weight: 10, arbitrary: fc.constant<Step>('push') },
    { weight: 8, arbitrary: fc.constant<Step>('shift') },
    { weight: 2, arbitrary: fc.constantFrom<Step>('remove', 'peek') },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 3000, size: 'max' }), (steps) => {
      const queue = new Queue<number>();
      const array: number[] = [];
      for (const [i, one] of steps.entries()) {
        if (one === 'push') {
          queue.push(i);
          array.push(i);
        } else if (one === 'shift') expect(queue.shift()).toBe(array.shift());
        else if (one === 'remove') {
          const index = array.findIndex((item) => item % 7 === 0);
          expect(queue.remove((item) => item % 7 === 0)).toBe(array[index]);
          if (index !== -1) array.splice(index, 1);
        } else expect(queue.peek()).toBe(array[0]);
        expect(queue.length).toBe(array.length);
      }
      expect(queue.clear()).toEqual(array);
      expect(queue.length).toBe(0);
      expect(queue.shift()).toBeUndefined();
    }),
    { numRuns: 30 },
  );
});

test('a long queue is taken from at its front', () => {
  const queue = new Queue<number>();
  for (let i = 0; i < 100_000; i++) queue.push(i);
  for (let i = 0; i < 99_999; i++) queue.shift();
  queue.push(-1);
  expect(queue.clear()).toEqual([99_999, -1]);
});
