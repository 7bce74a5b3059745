import { systemError } from '../errors.js';
import { Listener, services } from '../link/index.js';
import { pathOfName } from '../socket/names.js';
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
  const path = pathOfName(name);
  const checked = checkPublishOptions(options);
  if (services.has(serviceOf(name))) throw systemError('EADDRINUSE', 'bind', name);
  const publisher = new Publisher(name, checked);
  try {
    publisher.open(await Listener.bind(path));
    return publisher;
  } catch (error) {
    await publisher.close();
    throw error;
  }
}
