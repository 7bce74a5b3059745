import type { ChannelOptions } from '../channel/index.js';
import { limitsOf } from '../channel/limits.js';
import { checkChoice, invalid } from '../errors.js';
import type { Listener } from '../link/index.js';
import { accessOf, listenNamed, type SharingOptions } from './access.js';
import { DIRECTIONS } from './connect.js';
import { Server } from './server.js';

/** Which way channels go, as this end sees it. */
export type ServerDirection = 'both' | 'send' | 'receive';

/** Options of {@link bind}; those of its channels hold for each that connects. */
export interface BindOptions extends ChannelOptions, SharingOptions {
  /** `receive` is XenSocket's one-way pipe: one ring only. Default `both`. */
  direction?: ServerDirection;
  /** Channels that may wait to be taken. Default 511. */
  backlog?: number;
}

/**
 * Binds a name, so that others can {@link connect} to it. A name that a dead process left is taken over. A thread binds
 * a name once, whatever the directory.
 *
 * @param name 1 to 64 letters, digits, `.`, `_` and `-`, starting with a letter or a digit
 * @throws EADDRINUSE when it is bound; ERR_SHMLOOP_INVALID_NAME; ERR_SHMLOOP_INVALID_ARGUMENT;
 *   ERR_SHMLOOP_RUNTIME_DIRECTORY; ERR_SHMLOOP_UNSUPPORTED; EMFILE and the like as the kernel does
 */
export async function bind(name: string, options: BindOptions = {}): Promise<Server> {
  const limits = limitsOf(options);
  const { direction = 'both', backlog = 511, allow, directory } = options;
  const access = accessOf(allow);
  checkChoice('direction', direction, DIRECTIONS);
  if (!Number.isInteger(backlog) || backlog < 1) throw invalid`backlog is a positive integer, not ${backlog}`;
  const serve = (listener: Listener) => new Server(name, direction, listener, limits, backlog, access);
  return listenNamed(name, name, access, directory, serve);
}
