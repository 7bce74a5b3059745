import { availableParallelism } from 'node:os';
import { defineConfig, mergeConfig } from 'vitest/config';
import base from './vitest.config.js';

// These do not wait: they take what there is of the machine.
const slow = defineConfig({ test: { testTimeout: 300_000, maxWorkers: Math.max(2, availableParallelism() - 1) } });
const config = mergeConfig(base, slow);
// mergeConfig would join the two lists.
config.test.include = ['test/**/*.slow.ts'];
export default config;
