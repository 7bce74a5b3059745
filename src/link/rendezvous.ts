import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf, ShmloopError, systemError } from '../errors.js';
import { domain } from '../event/index.js';
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, unlinkSync } from '../fs.js';
import { type Descriptor, native, type Poll } from '../native.js';
import { type Admission, type Credentials, isOwnUser, rejected } from './credentials.js';
import { acceptHandshake, dialHandshake, type Handshaken } from './handshake.js';
import { Link } from './link.js';
import { pumpables } from './pump.js';

/** Connections that wait in the kernel to be accepted. */
const KERNEL_BACKLOG = 511;
/** Connections accepted per event. */
const BATCH = 16;
/** Unfinished handshakes of one listener. */
const MAX_HANDSHAKES = 256;
/** A pause when this process has no descriptor left, or the listener's backlog is full, in milliseconds. */
const RETRY = 10;
/** When to look whether a listener is dead, each so long after the last, in milliseconds. */
const STALE_LOOKS = [0, 5, 20, 100, 500];
/** How long a file that was bound this moment may have another mode than it is to have, in milliseconds. */
const SETTLING = 100;
/** How long to wait for the lock on a directory, or for a full backlog, in milliseconds. */
const PATIENCE = 5000;

/** No name: these start with a letter or a digit. */
const LOCK = '.lock';

/** Live links by the peer's process and domain. */
const links = new Map<string, Link>();
/** The latest dial of each path. */
const dials = new Map<string, Dial>();
const listeners = new Set<Listener>();

process.on('exit', () => {
  for (const listener of listeners) listener.close();
});

/** A bound path, or abstract name: whoever dials it gets a link to this domain. */
export class Listener {
  readonly #poll: Poll;
  readonly #socket: Descriptor;
  readonly #admits: Admission;
  /** Which file is this one's; an abstract name has none. */
  readonly #file: string | undefined;
  #handshakes = 0;
  #isReferenced = true;
  #resting: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(
    readonly path: string,
    socket: Descriptor,
    admits: Admission,
    file?: string,
  ) {
    this.#socket = socket;
    this.#admits = admits;
    this.#file = file;
    this.#poll = domain.inOwnContext(() => new (native().Poll)(socket, () => this.#acceptAll()));
    this.#poll.start();
    listeners.add(this);
    pumpables.add(this);
  }

  /**
   * Binds a path, in place of the file that a dead process left there.
   * @param admits who may be linked with
   * @param isOpen whether other users can reach it at all, where they can reach its directory
   * @throws EADDRINUSE when a live one has it; EBUSY when others hold the directory's lock
   */
  static async bind(path: string, admits: Admission = isOwnUser, isOpen = false): Promise<Listener> {
    const lock = await lockDirectory(dirname(path));
    try {
      if (!removeStale(path)) throw systemError('EADDRINUSE', 'bind', path);
      const socket = native().listenUnix(path, KERNEL_BACKLOG);
      const file = inodeAt(path);
      // Who watches the directory sees the file before it listens, and this change after.
      chmodSync(path, isOpen ? 0o666 : 0o600);
      removeAllStale(dirname(path));
      return new Listener(path, socket, admits, file);
    } finally {
      lock.close();
    }
  }

  /**
   * Binds an abstract name of this network namespace, which goes with the socket. For this user alone.
   * @throws EADDRINUSE when somebody has it
   */
  static bindAbstract(name: string): Listener {
    return new Listener(`\0${name}`, native().listenUnix(`\0${name}`, KERNEL_BACKLOG), isOwnUser);
  }

  ref(): void {
    this.#isReferenced = true;
    this.#poll.ref();
    this.#resting?.ref();
  }

  unref(): void {
    this.#isReferenced = false;
    this.#poll.unref();
    this.#resting?.unref();
  }

  /** Does what there is to do, without an event. */
  pump(): void {
    if (this.#resting === undefined) this.#acceptAll();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    listeners.delete(this);
    pumpables.delete(this);
    // First the name, then the socket: between the two it is nobody's to find stale. Somebody may have removed the
    // file, and another bound the name since; the socket keeps the inode, so that no other file can have it.
    if (this.#file !== undefined && inodeAt(this.path) === this.#file) unlinkIfThere(this.path);
    this.#poll.close();
    this.#socket.close();
  }

  #acceptAll(): void {
    for (let i = 0; i < BATCH && !this.#isClosed; i++) {
      if (this.#handshakes >= MAX_HANDSHAKES) return this.#rest();
      try {
        const socket = native().acceptUnix(this.#socket);
        if (socket === null) return;
        this.#handshakes++;
        void this.#greet(socket);
      } catch {
        // EMFILE, ENFILE, ENOMEM: the connection stays in the backlog until there is room.
        return this.#rest();
      }
    }
  }

  /** A peer that fails the handshake is its own affair: it was told, or is gone. */
  async #greet(socket: Descriptor): Promise<void> {
    try {
      makeLink(await acceptHandshake(socket, this.#admits, !isAbstract(this.path)));
    } catch {
      socket.close();
    } finally {
      this.#handshakes--;
    }
  }

  #rest(): void {
    this.#poll.stop();
    this.#resting = setTimeout(() => {
      this.#resting = undefined;
      if (!this.#isClosed) this.#poll.start();
    }, RETRY);
    // A poll that is stopped keeps nothing alive.
    if (!this.#isReferenced) this.#resting.unref();
  }
}

interface Dial {
  /** Tells the file from a successor of the same name. */
  readonly file: string;
  readonly link: Promise<Link>;
}

/**
 * The link to the domain behind a path: the one there is, or a new one.
 * @param admits who may be behind it; who squats the path is told nothing
 * @throws ERR_SHMLOOP_PEER_REJECTED when it is another, or lets nobody else in; ECONNREFUSED when nobody listens; what the handshake throws
 */
export async function dial(path: string, admits: Admission = isOwnUser): Promise<Link> {
  const file = identify(path);
  for (;;) {
    const known = dials.get(path);
    if (known === undefined || known.file !== file) break;
    const link = await known.link;
    if (!link.isAdmitted(admits)) throw rejected(link.peer);
    if (link.isUsable) return link;
    if (dials.get(path) === known) break;
  }
  const link = dialAfresh(path, admits);
  const entry = { file, link };
  dials.set(path, entry);
  link.catch(() => forget(path, entry));
  return link;
}

/**
 * The link to the domain behind an abstract name, anew: whoever listens may be another by now.
 * @throws as {@link dial} does
 */
export function dialAbstract(name: string): Promise<Link> {
  return dialAfresh(`\0${name}`, isOwnUser);
}

function forget(path: string, entry: Dial): void {
  if (dials.get(path) === entry) dials.delete(path);
}

async function dialAfresh(path: string, admits: Admission): Promise<Link> {
  const socket = await connect(path);
  try {
    const result = await dialHandshake(socket, admits, (peer, id) => {
      const known = links.get(keyOf(peer, id));
      return known?.isUsable ? known : undefined;
    });
    return result instanceof Link ? result : makeLink(result);
  } catch (error) {
    // It may have died within the handshake: then no link tells of it.
    if (!isAbstract(path)) void removeStaleSoon(path);
    throw error;
  }
}

function makeLink(parts: Handshaken): Link {
  const link: Link = new Link({ ...parts, onGone: (isOrderly) => void forgetLink(link, isOrderly) });
  const key = keyOf(link.peer, link.domainId);
  // A pid of 0 is one that this pid namespace does not see: it could be anybody's.
  if (link.peer.pid !== 0 && links.get(key)?.isUsable !== true) links.set(key, link);
  return link;
}

/** A domain says its own name: only with the kernel's word of who says it does it tell one from another. */
function keyOf({ pid, uid, gid }: Credentials, domainId: string): string {
  return `${pid}:${uid}:${gid}:${domainId}`;
}

/** The peer may have died, and left the files that it was bound to. */
async function forgetLink(link: Link, isOrderly: boolean): Promise<void> {
  const key = keyOf(link.peer, link.domainId);
  if (links.get(key) === link) links.delete(key);
  for (const [path, entry] of [...dials]) {
    if ((await entry.link.catch(() => undefined)) !== link) continue;
    forget(path, entry);
    if (!isOrderly) void removeStaleSoon(path);
  }
}

async function connect(path: string): Promise<Descriptor> {
  const settled = performance.now() + SETTLING;
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    try {
      return native().connectUnix(path);
    } catch (error) {
      if (codeOf(error) === 'ECONNREFUSED' && !isAbstract(path)) void removeStaleSoon(path);
      const isEarly = codeOf(error) === 'EACCES' && performance.now() < settled;
      if (!isEarly && (codeOf(error) !== 'EAGAIN' || performance.now() > deadline)) throw refused(error, path);
      await delay(RETRY, undefined, { ref: false });
    }
  }
}

function refused(error: unknown, path: string): unknown {
  if (codeOf(error) === 'EACCES') {
    return new ShmloopError('ERR_SHMLOOP_PEER_REJECTED', `${path} is not for this user`, { cause: error });
  }
  return codeOf(error) === 'ENOENT' || codeOf(error) === 'ECONNREFUSED'
    ? systemError('ECONNREFUSED', 'connect', path)
    : error;
}

function isAbstract(path: string): boolean {
  return path.startsWith('\0');
}

function identify(path: string): string {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) throw systemError('ECONNREFUSED', 'connect', path);
  return `${stat.dev}:${stat.ino}:${stat.ctimeNs}`;
}

function inodeAt(path: string): string | undefined {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stat && `${stat.dev}:${stat.ino}`;
}

/**
 * Removes the file of a listener that may be dead. A dying process closes its sockets one after the other,
 * so the one that listens may still answer for a while.
 */
async function removeStaleSoon(path: string): Promise<void> {
  for (const wait of STALE_LOOKS) {
    await delay(wait, undefined, { ref: false });
    try {
      const lock = tryLock(dirname(path));
      if (lock === null) continue;
      const isFree = removeStale(path);
      lock.close();
      if (isFree) return;
    } catch {
      // The directory is gone, and the file with it.
      return;
    }
  }
}

/**
 * Under the directory's lock: removes what those left who died with nobody linked to them. The kernel's list
 * spares the living a connection; a listener of another network namespace is not in it, and answers.
 */
function removeAllStale(directory: string): void {
  const bound = new Set(readIfThere('/proc/net/unix').split(/[ \n]/));
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isSocket() && !bound.has(path)) removeStale(path);
  }
}

/** Under the directory's lock. @returns whether the path is free now */
function removeStale(path: string): boolean {
  try {
    native().connectUnix(path).close();
    return false;
  } catch (error) {
    if (codeOf(error) === 'EAGAIN') return false;
    if (codeOf(error) === 'ENOENT') return true;
    if (codeOf(error) !== 'ECONNREFUSED') throw error;
    unlinkIfThere(path);
    return true;
  }
}

async function lockDirectory(directory: string): Promise<Descriptor> {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const lock = tryLock(directory);
    if (lock !== null) return lock;
    if (performance.now() > deadline) throw systemError('EBUSY', 'flock', directory);
    await delay(1);
  }
}

/**
 * The lock on a directory. Whoever may read one may lock it: where that is more than its owner, a directory within
 * takes its place, which only the owner can open.
 */
function tryLock(directory: string): Descriptor | null {
  const { mode } = lstatSync(directory);
  if ((mode & 0o077) === 0) return native().lockDirectory(directory);
  const inner = join(directory, LOCK);
  makeIfMissing(inner);
  return native().lockDirectory(inner);
}

function makeIfMissing(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
