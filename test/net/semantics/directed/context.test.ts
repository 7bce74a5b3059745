import { describe } from 'vitest';
import { usePrograms } from '../support.js';
import { testScenes } from './scenes.js';

const start = usePrograms();

describe('callbacks run in the context in which they would over TCP', () => {
  testScenes(start, 'context', {
    client: 'of a connection that was made in one',
    server: 'of a connection that a server in one accepted',
    several: 'of several connections, each in its own',
    awaiting: 'of what a listener awaits',
    ids: 'and in the async scope of the handle',
    thrown: 'also when they throw',
    bound: 'or the one that they are bound to',
  });
});
