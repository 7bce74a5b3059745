import { channel } from 'node:diagnostics_channel';
import { debuglog } from 'node:util';
import { ownerOf, type TcpHandle } from './internals.js';
import { REASONS, type Reason } from './reasons.js';

const debug = debuglog('shmloop');
const upgrades = channel('shmloop:upgrade');
const fallbacks = channel('shmloop:fallback');
const downgrades = channel('shmloop:downgrade');
const rejections = channel('shmloop:peer-rejected');

/** What is published to `diagnostics_channel`, and logged with `NODE_DEBUG=shmloop`. */
export const observe = {
  debug,

  upgrade(tcp: TcpHandle, key: string): void {
    debug('upgrade %s', key);
    if (upgrades.hasSubscribers) upgrades.publish({ socket: ownerOf(tcp) });
  },

  fallback(tcp: TcpHandle, reason: Reason): void {
    debug('fallback: %s', REASONS[reason]);
    if (fallbacks.hasSubscribers) fallbacks.publish({ socket: ownerOf(tcp), reason });
  },

  downgrade(tcp: TcpHandle, reason: Reason): void {
    debug('downgrade: %s', REASONS[reason]);
    if (downgrades.hasSubscribers) downgrades.publish({ socket: ownerOf(tcp), reason });
  },

  peerRejected(port: number, error: Error): void {
    debug('peer rejected on port %d: %s', port, error.message);
    if (rejections.hasSubscribers) rejections.publish({ port, error });
  },
};
