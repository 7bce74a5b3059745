/** Tests of Node's own that may fail under the preload, each with a reason that holds for Node itself. */
export const EXCEPTIONS = {
  'parallel/test-child-process-fork-closed-channel-segfault.js':
    'hangs under any preload that takes a while, one that only imports node:net or waits 40 ms too: it needs its ' +
    'worker to hear a message before the next one is sent.',
  'parallel/test-cluster-bind-twice.js':
    'hangs now and then under any preload that takes a while, one that waits 40 ms too: a message that comes before ' +
    'its worker has run its script is heard by nobody.',
  'sequential/test-async-wrap-getasyncid.js':
    'forces a garbage collection in its beforeExit listener and demands that nothing happens after it. The ' +
    'finalizers of any native addon run then, from the event loop, and beforeExit comes once more.',
};
