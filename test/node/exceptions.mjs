/** Tests of Node's own that may fail under the preload, each with a reason that holds for Node itself. */
export const EXCEPTIONS = {};
