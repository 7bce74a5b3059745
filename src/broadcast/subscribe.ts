import { checkOptions, ShmloopError } from '../errors.js';
import { RING } from '../layout.js';
import type { Port } from '../link/index.js';
import { Region, SHARING_SEALS } from '../memory/index.js';
import { type FindingOptions, openNamed } from '../socket/connect.js';
import { BroadcastMemory, broadcastFileLength } from './broadcast-memory.js';
import { readTerms, serviceOf } from './options.js';
import { Subscription } from './subscription.js';

/** Options of {@link subscribe}: those by which {@link connect} finds a name, for who publishes under it. */
export interface SubscribeOptions extends FindingOptions {
  /** Gives up, and closes the subscription with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * Subscribes to what is published under a name. It starts with the newest message there is, if any.
 *
 * @throws ECONNREFUSED when nobody publishes; ERR_SHMLOOP_PEER_REJECTED when another user does than the one
 *   expected, or who does does not allow this process; ERR_SHMLOOP_VERSION; ERR_SHMLOOP_HANDSHAKE;
 *   ERR_SHMLOOP_PROTOCOL, ERR_SHMLOOP_REGION when the publisher breaks the protocol;
 *   ERR_SHMLOOP_TIMEOUT when it does not answer within 5 s; the signal's reason; ERR_SHMLOOP_INVALID_NAME;
 *   ERR_SHMLOOP_INVALID_ARGUMENT; ERR_SHMLOOP_RUNTIME_DIRECTORY; ERR_SHMLOOP_UNSUPPORTED; EMFILE, ENOMEM and the like
 *   as the kernel does
 */
export async function subscribe(name: string, options: SubscribeOptions = {}): Promise<Subscription> {
  checkOptions(options);
  const asked = { direction: 'send', ringSize: RING.minCapacity, maxMessageSize: 0, takesShared: true } as const;
  const port = await openNamed(name, serviceOf(name), options, asked);
  try {
    return join(port, options.signal);
  } catch (error) {
    port.release();
    throw error;
  }
}

function join(port: Port, signal: AbortSignal | undefined): Subscription {
  const { shared, peerRing } = port;
  if (shared === undefined || peerRing === undefined) {
    throw new ShmloopError('ERR_SHMLOOP_PROTOCOL', 'the publisher broke the protocol: it shares no memory');
  }
  const terms = readTerms(shared.text);
  const region = Region.adopt(shared.descriptor, broadcastFileLength(terms.capacity), 'private', SHARING_SEALS.read);
  port.shared = undefined;
  region.hide();
  return new Subscription(port, new BroadcastMemory(region), peerRing.memory.control, terms, signal);
}
