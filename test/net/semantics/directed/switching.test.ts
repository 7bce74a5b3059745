import { describe } from 'vitest';
import { usePrograms } from '../support.js';
import { testScenes } from './scenes.js';

const start = usePrograms();

describe('a connection that switches', () => {
  testScenes(start, 'switching', {
    onread: 'puts what comes into the buffer that its reader gave last',
    ending: 'may end at any moment of it, and the other end hears of it',
    destroying: 'may be destroyed at any moment of it, and the other end hears of it',
    closing: 'does so also when its server listens no more',
    endingAlone: 'may end at any moment of it, and gets all that still comes',
  });
});

describe('what TCP takes of a socket that is given up right after it wrote, the drop-in takes', () => {
  testScenes(start, 'switching', {
    destroyingAfterWrite: 'by destroy, of one large write',
    destroyingAfterWrites: 'by destroy, of many writes',
    failingAfterWrites: 'by a write after the end',
  });
});

describe('on a connection that has switched', () => {
  testScenes(start, 'switching', {
    transferring: 'a buffer may be transferred while its bytes wait',
    unreferenced: 'a socket that does not keep the process alive is read as soon as another',
    writingAfterReset: 'a write after a reset fails as over TCP',
  });
});
