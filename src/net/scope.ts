import { AsyncResource } from 'node:async_hooks';
import { native } from '../native.js';
import { internals, type StreamHandle } from './internals.js';

type Resource = Record<symbol, unknown>;

interface ScopedHandle extends StreamHandle {
  [kResource]?: Resource;
}

const kResource = Symbol('shmloop resource');
const { runInAsyncScope } = AsyncResource.prototype;
const tickCallback = beneathDeprecation((process as unknown as { _tickCallback: () => void })._tickCallback);

/**
 * Remembers the async context that a handle is born in, as Node's C++ does for its own callbacks. Where there is
 * no AsyncContextFrame the handle itself is where AsyncLocalStorage looks.
 */
export function rememberContext(handle: StreamHandle): void {
  rememberOn(handle as unknown as Resource);
}

/** A handle that is used again, as HTTP's agents do, gets another async id, and the context of its new user. */
export function hookAsyncReset(): void {
  const { asyncReset } = internals.TCP.prototype;
  internals.TCP.prototype.asyncReset = function (this: ScopedHandle, resource, ...rest) {
    asyncReset.call(this, resource, ...rest);
    const own = (resource ?? this) as Resource;
    rememberOn(own);
    own[internals.asyncId] = this.getAsyncId();
    own[internals.triggerAsyncId] = 0;
    this[kResource] = own;
  };
}

/**
 * Runs code of the application as the event loop runs a callback of this handle: in its async scope, and with
 * ticks and microtasks done before anything else. Never while other code of the application is on the stack.
 */
export function runAsCallback(handle: StreamHandle, run: () => void): void {
  const resource = (handle as ScopedHandle)[kResource] ?? (handle as unknown as Resource);
  if (resource[internals.asyncId] === undefined) {
    resource[internals.asyncId] = handle.getAsyncId();
    resource[internals.triggerAsyncId] = 0;
  }
  runReporting(resource as unknown as AsyncResource, run);
}

/**
 * The same in the scope of a resource, or in what scopes the code itself enters. What is thrown is reported at once, and
 * within the scope, as on TCP: on its way up it would leave the ids of the tick that threw it on the stack, where whoever
 * is beneath aborts the process for it.
 */
export function runReporting(resource: AsyncResource | undefined, run: () => void): void {
  const isDone = resource === undefined ? report(run) : runInAsyncScope.call(resource, report, undefined, run);
  if (isDone) runTicks();
}

/** Runs ticks and microtasks, as the event loop does after a callback. @returns whether nothing was thrown */
export function runTicks(): boolean {
  return report(tickCallback);
}

/** @returns whether nothing was thrown */
function report(run: () => void): boolean {
  try {
    run();
    return true;
  } catch (error) {
    native().reportUncaught(error);
    return false;
  }
}

/** With --pending-deprecation what is deprecated on paper stands behind a function that warns, whose prototype it is. */
function beneathDeprecation(call: () => void): () => void {
  const beneath = Object.getPrototypeOf(call);
  return beneath === Function.prototype ? call : beneath;
}

function rememberOn(resource: Resource): void {
  const { contextFrame } = internals;
  if (contextFrame === undefined) return;
  resource[contextFrame] = (new AsyncResource('SHMLOOP') as unknown as Resource)[contextFrame];
}
