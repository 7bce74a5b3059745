import { once } from 'node:events';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Channel, type ChannelOptions } from '../channel/index.js';
import { checkFlag, limitsOf } from '../channel/limits.js';
import { checkChoice, checkSignal, codeOf, invalid } from '../errors.js';
import { existsSync, watch } from '../fs.js';
import { type Admission, type Direction, dial, type OpenOptions, OVERFLOW_ID, type Port } from '../link/index.js';
import { pathOfName } from './names.js';

/** How a name is found, and who must have bound it. */
export interface FindingOptions {
  /**
   * Whether to wait for the name to be bound, and to have room. Who had it and hangs up while it is being connected to
   * is waited for as well. Default false.
   */
  wait?: boolean;
  /** Gives up. */
  signal?: AbortSignal;
  /** Who must have bound the name: whoever else has is told nothing. Default: this user. */
  expect?: { uid: number };
  /**
   * Where the name is, as {@link bind} has it: an absolute path of a directory that belongs to who is expected, or to
   * root, and that nobody else may write to, nor replace. Default: the runtime directory.
   */
  directory?: string;
}

/** Options of {@link connect}. */
export interface ConnectOptions extends ChannelOptions, FindingOptions {
  /** Which way the channel goes, as this end sees it. Default: as the server has it. */
  direction?: 'both' | 'send' | 'receive';
}

/** Which ways a channel may go. */
export const DIRECTIONS: readonly Direction[] = ['both', 'send', 'receive'];
/** Between two tries of a name that is there and does not let in, in milliseconds. */
const RETRY = 20;
/** A link that was idle may close just as it is used again; the next dial makes a new one. */
const TRIES = 3;
const ROOT = 0;
/** Of a timer that is never due, in milliseconds. */
const LONG = 2 ** 30;

/**
 * Connects to a bound name. Channels between the same two domains share one link.
 *
 * @throws ECONNREFUSED when nobody has bound the name, or its backlog is full; ERR_SHMLOOP_PEER_REJECTED
 *   when another user has than the one expected, or who has does not allow this process; ERR_SHMLOOP_DIRECTION;
 *   ERR_SHMLOOP_VERSION; ERR_SHMLOOP_HANDSHAKE;
 *   ERR_SHMLOOP_TIMEOUT when the peer does not answer within 5 s; the signal's reason;
 *   ERR_SHMLOOP_INVALID_NAME; ERR_SHMLOOP_INVALID_ARGUMENT; ERR_SHMLOOP_RUNTIME_DIRECTORY;
 *   ERR_SHMLOOP_UNSUPPORTED; EMFILE, ENOMEM and the like as the kernel does
 */
export async function connect(name: string, options: ConnectOptions = {}): Promise<Channel> {
  const limits = limitsOf(options);
  const { direction } = options;
  if (direction !== undefined) checkChoice('direction', direction, DIRECTIONS);
  const port = await openNamed(name, name, options, { ...limits, direction: direction ?? 'any' });
  return new Channel(port, limits);
}

/**
 * Opens a port to a service of the domain that has bound a name.
 * @throws as {@link connect} does
 */
export async function openNamed(
  name: string,
  service: string,
  { wait = false, signal, expect, directory }: FindingOptions,
  asked: OpenOptions,
): Promise<Port> {
  const uid = expectedUid(expect);
  const find = () => pathOfName(name, directory, [uid, ROOT]);
  find();
  checkFlag('wait', wait);
  checkSignal(signal);
  signal?.throwIfAborted();
  const admits: Admission = (peer) => peer.uid === uid;
  const open = () => openPort(find(), admits, service, asked, signal);
  return abortable(wait ? openWhenBound(open, find, signal) : open(), signal);
}

async function openPort(
  path: string,
  admits: Admission,
  name: string,
  options: OpenOptions,
  signal: AbortSignal | undefined,
): Promise<Port> {
  for (let tries = 1; ; tries++) {
    const link = await dial(path, admits);
    signal?.throwIfAborted();
    try {
      return await link.open(name, options, signal);
    } catch (error) {
      if (link.isUsable || tries === TRIES || codeOf(error) !== 'ECONNRESET') throw error;
    }
  }
}

/** Tries, and tries again whenever the name's directory changes, until somebody is there who does not hang up. */
async function openWhenBound(
  open: () => Promise<Port>,
  find: () => string,
  signal: AbortSignal | undefined,
): Promise<Port> {
  for (;;) {
    // From before the try, so that no change is missed, and anew each time: the directory may be made again.
    const path = find();
    const watcher = watch(dirname(path));
    // Of this try alone: what waits for the signal itself would wait as long as that lives.
    const waiting = new AbortController();
    const giveUp = () => waiting.abort();
    signal?.addEventListener('abort', giveUp, { once: true });
    const changes = [once(watcher, 'change', { signal: waiting.signal })];
    changes[0]?.catch(ignore);
    try {
      return await open();
    } catch (error) {
      if (!isAway(error)) throw error;
      // The name is there, but its backlog is full, or who has it hung up: what follows may be nothing to be watched.
      if (existsSync(path)) changes.push(delay(RETRY, [], { signal: waiting.signal, ref: false }));
      await Promise.race(changes);
    } finally {
      signal?.removeEventListener('abort', giveUp);
      giveUp();
      watcher.close();
    }
  }
}

/** Whether there is nobody for the moment: the name is not bound, its backlog is full, or who had it hung up. */
function isAway(error: unknown): boolean {
  const isHandshake = codeOf(error) === 'ERR_SHMLOOP_HANDSHAKE';
  const code = codeOf(isHandshake ? (error as Error).cause : error);
  return code === 'ECONNREFUSED' || code === 'ECONNRESET';
}

/**
 * The promise, or the signal's reason; a port that comes too late is let go. Only this wait keeps the
 * process alive, and not a handshake that goes on when it was given up.
 */
function abortable(opening: Promise<Port>, signal: AbortSignal | undefined): Promise<Port> {
  const alive = setInterval(ignore, LONG);
  return new Promise<Port>((resolve, reject) => {
    const onAbort = () => {
      reject(signal?.reason);
      opening.then((port) => port.release(), ignore);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    opening.then(resolve, reject).finally(() => signal?.removeEventListener('abort', onAbort));
  }).finally(() => clearInterval(alive));
}

function expectedUid(expect: FindingOptions['expect']): number {
  if (expect === undefined) return process.geteuid?.() as number;
  const uid = expect?.uid;
  if (!Number.isSafeInteger(uid) || uid < 0 || uid === OVERFLOW_ID) {
    throw invalid`expect.uid is a user's number, and not ${OVERFLOW_ID}, which is nobody in particular`;
  }
  return uid;
}

function ignore(): void {}
