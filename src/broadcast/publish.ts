import type { Listener } from '../link/index.js';
import { accessOf, listenNamed } from '../socket/access.js';
import { checkPublishOptions, type PublishOptions, serviceOf } from './options.js';
import { Publisher } from './publisher.js';

/**
 * Publishes under a name, so that others can `subscribe` to it. Names are those of `bind`: one that is bound cannot be
 * published under, and the other way round.
 *
 * @param name 1 to 64 letters, digits, `.`, `_` and `-`, starting with a letter or a digit
 * @throws EADDRINUSE when it is taken; ERR_SHMLOOP_INVALID_NAME; ERR_SHMLOOP_INVALID_ARGUMENT;
 *   ERR_SHMLOOP_RUNTIME_DIRECTORY; ERR_SHMLOOP_UNSUPPORTED; ENOMEM, EMFILE and the like as the kernel does
 */
export async function publish(name: string, options: PublishOptions = {}): Promise<Publisher> {
  const checked = checkPublishOptions(options);
  const access = accessOf(options.allow);
  const publisher = new Publisher(name, checked, access);
  try {
    const serve = (listener: Listener) => publisher.open(listener);
    await listenNamed(name, serviceOf(name), access, options.directory, serve);
    return publisher;
  } catch (error) {
    await publisher.close();
    throw error;
  }
}
