import { defineConfig, mergeConfig } from 'vitest/config';
import base from './vitest.config.js';

const slow = defineConfig({ test: { testTimeout: 300_000 } });
const config = mergeConfig(base, slow);
// mergeConfig would join the two lists.
config.test.include = ['test/**/*.slow.ts'];
export default config;
