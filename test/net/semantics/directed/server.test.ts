import { describe } from 'vitest';
import { usePrograms } from '../support.js';
import { testScenes } from './scenes.js';

const start = usePrograms();

describe('over the drop-in as over TCP', () => {
  testScenes(start, 'server', {
    addresses: 'sockets have their addresses and ports',
    closing: 'a server that closes waits for its connections, and counts them',
    dropping: 'a server drops what is above maxConnections',
    pausing: 'pauseOnConnect reads nothing before its time',
    aborting: 'an AbortSignal ends a connection, and a server',
    diagnostics: 'diagnostics_channel tells of sockets',
    performance: 'perf_hooks tells of connections',
  });
});
