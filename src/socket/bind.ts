import type { ChannelOptions } from '../channel/index.js';
import { invalid, limitsOf } from '../channel/limits.js';
import { systemError } from '../errors.js';
import { type Direction, Listener, services } from '../link/index.js';
import { pathOfName } from './names.js';
import { Server } from './server.js';

/** Which way channels go, as this end sees it. */
export type ServerDirection = 'both' | 'send' | 'receive';

/** Options of {@link bind}; those of its channels hold for each that connects. */
export interface BindOptions extends ChannelOptions {
  /** `receive` is XenSocket's one-way pipe: one ring only. Default `both`. */
  direction?: ServerDirection;
  /** Channels that may wait to be taken. Default 511. */
  backlog?: number;
}

const DIRECTIONS: readonly Direction[] = ['both', 'send', 'receive'];

/**
 * Binds a name, so that others can {@link connect} to it. A name that a dead process left is taken over.
 *
 * @param name 1 to 64 letters, digits, `.`, `_` and `-`, starting with a letter or a digit
 * @throws EADDRINUSE when it is bound; ERR_SHMLOOP_INVALID_NAME; ERR_SHMLOOP_INVALID_ARGUMENT;
 *   ERR_SHMLOOP_RUNTIME_DIRECTORY; ERR_SHMLOOP_UNSUPPORTED; EMFILE and the like as the kernel does
 */
export async function bind(name: string, options: BindOptions = {}): Promise<Server> {
  const path = pathOfName(name);
  const limits = limitsOf(options);
  const { direction = 'both', backlog = 511 } = options;
  if (!DIRECTIONS.includes(direction)) throw invalid(`direction is one of ${DIRECTIONS.join(', ')}`);
  if (!Number.isInteger(backlog) || backlog < 1) throw invalid(`backlog is a positive integer, not ${backlog}`);
  if (services.has(name)) throw systemError('EADDRINUSE', 'bind', name);
  return new Server(name, direction, await Listener.bind(path), limits, backlog);
}
