import { test } from 'vitest';
import { useSandbox } from '../faults/support.js';
const sandbox = useSandbox();
test('x', async () => { console.log('BURST', JSON.stringify(await sandbox.run('tmp-burst'))); });
