import { describe } from 'vitest';
import { usePrograms } from '../support.js';
import { testScenes } from './scenes.js';

const start = usePrograms();

describe('callbacks run when they would over TCP', () => {
  testScenes(start, 'order', {
    ticks: 'with ticks and microtasks between the data of two sockets',
    callbacks: 'of writes, after the call',
    trailing: 'of HTTP, between requests one of which has trailers',
    manyHeaders: 'of HTTP, between requests with many headers',
    piping: "of an end that is passed on, before the 'close' of where it came from",
    timeout: 'of the time-out of a quiet socket, once',
    timeoutWhileBusy: 'but not of the time-out of one that exchanges',
    timeoutWhileWriting: 'or that writes',
    timeoutWhileBlocked: 'of the time-out of one whose peer does not read',
  });
});

describe('an error that nobody catches is the one that it is over TCP', () => {
  testScenes(start, 'order', {
    throwing: 'in a listener',
    rejecting: 'of a promise in a listener',
    throwingInTick: 'in a tick of a listener',
    throwingAtEnd: "in a listener of 'end'",
    throwingInBody: 'in a tick between two pieces of a body',
  });
});
