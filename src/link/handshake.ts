import { ShmloopError, systemError } from '../errors.js';
import { EVENTS } from '../layout.js';
import { Region } from '../memory/index.js';
import { type Descriptor, native } from '../native.js';
import { randomHex } from '../random.js';
import { type ControlHandler, ControlSocket } from './control-socket.js';
import { type Admission, type Credentials, type Identity, identityOf } from './credentials.js';
import type { Bell, LinkParts } from './link.js';
import { encode, type Kind, type Message, type Reason, reasonError } from './messages.js';

let ownId: string | undefined;

/** This environment, told apart from all others by its peers. */
function domainId(): string {
  ownId ??= randomHex(16);
  return ownId;
}

/** How long a peer may take over its part, in milliseconds. */
const DEADLINE = 5000;

export type Handshaken = Omit<LinkParts, 'onGone'>;

/**
 * The dialing side:
 * ```
 *  dialer                                acceptor
 *    hello {domain}                  ->    (credentials were checked on accept)
 *                                    <-  welcome {domain} + event region, doorbell
 *    ready + event region, doorbell  ->
 * ```
 * Descriptors are allowed only once the credentials of the other end passed. Whoever is not admitted may be told so by
 * the acceptor, and nothing else; the dialer hangs up without a word.
 *
 * @param admits whom this side may be linked with
 * @param find the link that there is to that domain already: then this socket is not needed
 * @returns that link, or what makes a new one
 * @throws ERR_SHMLOOP_PEER_REJECTED, ERR_SHMLOOP_VERSION, ERR_SHMLOOP_TIMEOUT; ERR_SHMLOOP_HANDSHAKE, with an
 *   ECONNRESET as its cause when the peer did nothing worse than hang up
 */
export async function dialHandshake<T>(
  socket: Descriptor,
  admits: Admission,
  find: (peer: Credentials, domainId: string) => T | undefined,
): Promise<Handshaken | T> {
  const peer = admit(socket, admits);
  const exchange = new Exchange(socket);
  let theirs: Bell | undefined;
  try {
    exchange.control.send({ kind: 'hello', text: domainId() });
    const [welcome, descriptors] = await exchange.expect('welcome');
    const known = find(peer, welcome.text);
    if (known !== undefined) {
      for (const descriptor of descriptors) descriptor.close();
      exchange.control.close();
      return known;
    }
    theirs = adoptBell(descriptors);
    const own = await offerBell(exchange.control, { kind: 'ready' });
    return { control: exchange.control, peer, domainId: welcome.text, own, theirs, isDialer: true };
  } catch (error) {
    discard(theirs);
    exchange.control.close();
    throw error;
  }
}

/**
 * The accepting side of {@link dialHandshake}.
 * @param isTold whether who is not admitted is told so
 * @throws as it does
 */
export async function acceptHandshake(socket: Descriptor, admits: Admission, isTold: boolean): Promise<Handshaken> {
  const peer = admit(socket, admits, isTold ? { kind: 'rejected', reason: 'credentials' } : undefined);
  const exchange = new Exchange(socket);
  let own: Bell | undefined;
  try {
    const [hello, none] = await exchange.expect('hello');
    for (const descriptor of none) descriptor.close();
    own = await offerBell(exchange.control, { kind: 'welcome', text: domainId() });
    const [, descriptors] = await exchange.expect('ready');
    const theirs = adoptBell(descriptors);
    return { control: exchange.control, peer, domainId: hello.text, own, theirs, isDialer: false };
  } catch (error) {
    discard(own);
    exchange.control.close();
    throw error;
  }
}

function admit(socket: Descriptor, admits: Admission, refusal?: { kind: Kind; reason: Reason }): Identity {
  try {
    const peer = identityOf(socket, admits);
    native().allowDescriptors(socket);
    return peer;
  } catch (error) {
    if (refusal !== undefined) tellIfThere(socket, encode(refusal));
    socket.close();
    throw error;
  }
}

/** To who may have hung up already. */
function tellIfThere(socket: Descriptor, bytes: Buffer): void {
  try {
    native().sendMessage(socket, bytes, []);
  } catch {
    // It does not want to know.
  }
}

/** Makes this side's event region and doorbell; passes the region and where the doorbell rings. */
function offerBell(control: ControlSocket, message: { kind: Kind; text?: string }): Promise<Bell> {
  const [listening, doorbell] = native().createDoorbell();
  try {
    const { region, descriptor } = Region.create(EVENTS.regionLength, 'plain');
    return new Promise((resolve) => {
      control.send(message, [descriptor, listening], () => {
        descriptor.close();
        listening.close();
        resolve({ region, doorbell });
      });
    });
  } catch (error) {
    listening.close();
    doorbell.close();
    throw error;
  }
}

/** Gives back at once what a failed handshake took: a flood of them must not wait for the garbage collector. */
function discard(bell: Bell | undefined): void {
  bell?.region.retire();
  bell?.doorbell.close();
}

function adoptBell(descriptors: Descriptor[]): Bell {
  const [memory, doorbell, ...rest] = descriptors;
  try {
    // Reading from anything but a pipe might do what the peer wants.
    if (memory === undefined || doorbell === undefined || rest.length > 0 || !native().isPipe(doorbell)) {
      throw new ShmloopError('ERR_SHMLOOP_HANDSHAKE', 'the peer passed other descriptors than the protocol has');
    }
    return { region: Region.adopt(memory, EVENTS.regionLength, 'plain'), doorbell };
  } catch (error) {
    for (const descriptor of descriptors) descriptor.close();
    throw error;
  }
}

function hungUp(): ShmloopError {
  const cause = systemError('ECONNRESET', 'read', 'handshake');
  return new ShmloopError('ERR_SHMLOOP_HANDSHAKE', 'the peer hung up during the handshake', { cause });
}

/** Waits for one message after the other, each in time. */
class Exchange implements ControlHandler {
  readonly control: ControlSocket;
  #arrived: [Message, Descriptor[]] | undefined;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: Descriptor) {
    this.control = new ControlSocket(socket, this);
    // Whoever waits for the outcome keeps the process alive, if need be.
    this.control.unref();
  }

  async expect(kind: Kind): Promise<[Message, Descriptor[]]> {
    this.control.resume();
    if (this.#arrived === undefined && this.#error === undefined) await this.#wait();
    if (this.#arrived === undefined) {
      throw this.#error ?? new ShmloopError('ERR_SHMLOOP_TIMEOUT', 'the peer took too long over the handshake');
    }
    const [message, descriptors] = this.#arrived;
    this.#arrived = undefined;
    if (message.kind === kind) return [message, descriptors];
    for (const descriptor of descriptors) descriptor.close();
    if (message.kind === 'rejected') throw reasonError(message.reason, 'handshake');
    throw new ShmloopError('ERR_SHMLOOP_HANDSHAKE', `the peer sent ${message.kind} in place of ${kind}`);
  }

  received(message: Message, descriptors: Descriptor[], areLost: boolean): void {
    if (areLost) this.#error = systemError('EMFILE', 'recvmsg', 'handshake');
    else this.#arrived = [message, descriptors];
    // What comes next may be for the link already.
    this.control.pause();
    this.#wake?.();
  }

  ended(error?: Error): void {
    this.#error = error ?? hungUp();
    this.#wake?.();
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, DEADLINE).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
