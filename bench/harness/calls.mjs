/**
 * Calls between the harness and the processes that it measures, over the fork's
 * IPC channel: never over a measured transport.
 *
 * A call is answered by any number of `ready` and `progress` events, then by one
 * `result` or `error`.
 *
 * @typedef {{ id: number, to: string, method: string, parameters: any }} Call
 * @typedef {{ id: number, event: 'ready' | 'progress' | 'result' | 'error', value?: any }} Answer
 * @typedef {{ ready: () => Promise<void>, progress: (value: any) => void }} Answering
 * @typedef {(parameters: any, answering: Answering) => any} Method
 */
import { isMainThread, parentPort } from 'node:worker_threads';

/** The threads of a measured process, as receivers of calls. */
export const MAIN = 'main';
export const WORKER = 'worker';

/**
 * Answers calls in a measured process or in a worker of it. When the harness goes
 * away, a process ends: by itself if it was told to close, else at once.
 * @param {Readonly<Record<string, Method>> & { close: Method }} methods
 */
export function answerCalls(methods) {
  if (isMainThread) {
    let isClosed = false;
    process.on('message', (/** @type {Call} */ call) => {
      if (call.to !== MAIN) return;
      if (call.method === 'close') isClosed = true;
      void answer(methods, call, postToHarness);
    });
    process.once('disconnect', () => {
      if (!isClosed) process.exit(1);
    });
  } else {
    parentPort?.on('message', (/** @type {Call} */ call) => void answer(methods, call, postToMain));
  }
}

/**
 * Hands on calls for a worker, and the answers, until the harness goes away.
 * @param {import('node:worker_threads').Worker} worker
 */
export function forwardCalls(worker) {
  process.on('message', (/** @type {Call} */ call) => {
    if (call.to === WORKER) worker.postMessage(call);
  });
  worker.on('message', (/** @type {Answer} */ reply) => void postToHarness(reply));
  worker.on('error', (error) => {
    throw error;
  });
  process.once('disconnect', () => worker.terminate());
}

/**
 * @param {Readonly<Record<string, Method>>} methods
 * @param {Call} call
 * @param {(answer: Answer) => Promise<void>} post
 */
async function answer(methods, { id, method, parameters }, post) {
  try {
    const value = await methods[method](parameters, {
      ready: () => post({ id, event: 'ready' }),
      progress: (value) => void post({ id, event: 'progress', value }),
    });
    await post({ id, event: 'result', value });
  } catch (error) {
    await post({ id, event: 'error', value: String(/** @type {Error} */ (error)?.stack ?? error) });
  }
}

/**
 * Resolves when the message left this process, so that the caller may block its event loop.
 * @param {Answer} message
 * @returns {Promise<void>}
 */
function postToHarness(message) {
  return new Promise((resolve) => process.send?.(message, undefined, {}, () => resolve()));
}

/** @param {Answer} message */
async function postToMain(message) {
  parentPort?.postMessage(message);
}
