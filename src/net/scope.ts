import { AsyncResource } from 'node:async_hooks';
import { internals, type StreamHandle } from './internals.js';

type Resource = Record<symbol, unknown>;
const { runInAsyncScope } = AsyncResource.prototype;
const { _tickCallback: runTicks } = process as unknown as { _tickCallback: () => void };

/**
 * Remembers the async context that a handle is born in, as Node's C++ does for its own callbacks. Before
 * Node 24 (or without AsyncContextFrame) the handle is where AsyncLocalStorage looks.
 */
export function rememberContext(handle: StreamHandle): void {
  const { contextFrame } = internals;
  if (contextFrame === undefined) return;
  const resource = new AsyncResource('SHMLOOP') as unknown as Resource;
  (handle as unknown as Resource)[contextFrame] = resource[contextFrame];
}

/**
 * Runs code of the application as the event loop runs a callback of this handle: in its async scope, and with
 * ticks and microtasks done before anything else. Never while other code of the application is on the stack.
 */
export function runAsCallback(handle: StreamHandle, run: () => void): void {
  const resource = handle as unknown as Resource;
  if (resource[internals.asyncId] === undefined) {
    resource[internals.asyncId] = handle.getAsyncId();
    resource[internals.triggerAsyncId] = 0;
  }
  runInAsyncScope.call(resource as unknown as AsyncResource, run);
  runTicks();
}
