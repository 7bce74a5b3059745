import { expect, test } from 'vitest';
import { usePrograms } from './support.js';

const start = usePrograms();

test.each([['--abort-on-uncaught-exception'], ['--pending-deprecation', '--throw-deprecation'], ['--no-deprecation']])(
  'programs run with %s as over TCP, and switch',
  async (...execArgv) => {
    const flags = execArgv.filter((flag) => flag !== undefined);
    const args = { file: 'order', scene: 'ticks' };
    const program = start('scene', { args, execArgv: flags });
    expect(await program.said()).toEqual({ seen: expect.anything() });
    expect(program.errors).toBe('');
  },
);
