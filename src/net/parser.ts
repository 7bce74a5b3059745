import type { Duplex } from 'node:stream';
import { internals, ownerOf, type StreamHandle, type TcpHandle } from './internals.js';

const kParser = Symbol('shmloop parser');

interface ConsumedHandle extends StreamHandle {
  [kParser]?: object | undefined;
  /** Set by Node's HTTP server, which lets its parser read the handle. */
  _consumed?: boolean;
}

interface HttpSocket extends Duplex {
  parser?: object | null;
}

/** Notes which handles a parser reads directly, below JavaScript, where no switch can reach. */
export function hookParser(): void {
  const prototype = internals.HTTPParser?.prototype;
  if (prototype === undefined) return;
  const { consume, unconsume } = prototype;
  const handles = new WeakMap<object, ConsumedHandle>();
  prototype.consume = function (handle) {
    handles.set(this, handle);
    (handle as ConsumedHandle)[kParser] = this;
    return consume.call(this, handle);
  };
  prototype.unconsume = function () {
    const handle = handles.get(this);
    if (handle !== undefined) handle[kParser] = undefined;
    return unconsume.call(this);
  };
}

/** Whether a parser reads the handle and would not let go of it. */
export function isConsumed(tcp: TcpHandle): boolean {
  const parser = (tcp as ConsumedHandle)[kParser];
  return parser !== undefined && ownerOf<HttpSocket>(tcp)?.parser !== parser;
}

/**
 * Makes Node's HTTP server read the socket in place of the handle: it does so when somebody else wants the data,
 * by its own rules.
 */
export function releaseParser(tcp: TcpHandle): void {
  const owner = ownerOf<HttpSocket>(tcp);
  if (!owner?.parser || !(tcp as ConsumedHandle)._consumed) return;
  const nobody = () => {};
  owner.on('data', nobody);
  owner.removeListener('data', nobody);
  // The stream believes that a read is under way, since the parser took what that one would have brought.
  if (!tcp.reading) owner.push('');
}
