import { internals, type TcpHandle } from './internals.js';

const kIsShutDown = Symbol('shmloop is shut down');

interface EndedHandle extends TcpHandle {
  [kIsShutDown]?: boolean;
}

/**
 * Notes which handles were told to end. The kernel hears of it in the next round of the event loop only: a connection
 * that switched until then would know nothing of its end, and never say it in the ring.
 */
export function hookShutdown(): void {
  const { shutdown } = internals.TCP.prototype;
  internals.TCP.prototype.shutdown = function (this: EndedHandle, request) {
    this[kIsShutDown] = true;
    return shutdown.call(this, request);
  };
}

export function isShutDown(tcp: TcpHandle): boolean {
  return (tcp as EndedHandle)[kIsShutDown] === true;
}
