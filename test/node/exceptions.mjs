/** Tests of Node's own that may fail under the preload, each with a reason that holds for Node itself. */
export const EXCEPTIONS = {
  'sequential/test-async-wrap-getasyncid.js':
    'forces a garbage collection in its beforeExit listener and demands that nothing happens after it. The ' +
    'finalizers of any native addon run then, from the event loop, and beforeExit comes once more.',
};
