import os from 'node:os';
import { describe } from 'vitest';
import { usePrograms } from '../support.js';
import { testScenes } from './scenes.js';

const start = usePrograms();
const interfaces = Object.values(os.networkInterfaces()).flatMap((it) => it ?? []);
const hasV6 = interfaces.some(({ address }) => address === '::1');
const hasOwnAddress = interfaces.some(({ internal, family }) => !internal && family === 'IPv4');

describe('a connection switches, and carries what it would over TCP', () => {
  testScenes(start, 'places', {
    oneThread: 'between two ends in one thread',
    workerServes: 'to a worker',
    workerConnects: 'from a worker',
    betweenWorkers: 'between workers',
    localhost: 'to localhost, by either family',
    localhostOfOneFamily: 'to localhost, where only one family answers',
    otherLoopback: 'between other addresses of the loopback network',
  });
});

describe.runIf(hasV6)('with IPv6, a connection switches', () => {
  testScenes(start, 'places', {
    ipv6: 'to ::1',
    mapped: 'from IPv4 to a server of both families',
    mappedByClient: 'to an IPv4 address written as one of IPv6',
  });
});

describe.runIf(hasOwnAddress)('a connection switches', () => {
  testScenes(start, 'places', { ownAddress: "to the host's own address" });
});
