import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('the image pipeline passes all its images through three processes', async () => {
  const program = fileURLToPath(new URL('../../examples/image-pipeline.mjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program]);
  // The last image, 59 times 1, 2, 3 in blue, green and red, by the weights of the filter.
  const brightness = ((177 & 255) * 0.299 + (118 & 255) * 0.587 + 59 * 0.114) / 255;
  expect(stdout).toMatch(/^60 images, the brightest at /);
  expect(Number(stdout.trim().split(' ').at(-1))).toBeCloseTo(brightness, 3);
});
