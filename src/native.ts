/**
 * The whole native surface, declared once. System calls that fail throw errors
 * of Node's own shape ({@link SystemError}); nothing here decides anything.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ShmloopError } from './errors.js';

/** Owns one file descriptor: closed by `close()`, by collection, or when the environment ends. */
export interface Descriptor {
  /** The number, for diagnostics; -1 after `close()`. */
  readonly number: number;
  close(): void;
}

/** A libuv poll handle: calls back when its descriptor is readable or hung up, until closed. */
export interface Poll {
  /** Calls back again and again while readable or hung up; while writable too, if asked. */
  start(writable?: boolean): void;
  stop(): void;
  ref(): void;
  unref(): void;
  close(): void;
}

/** Calls back from the event loop itself, in no callback scope, as libuv calls Node's C++. */
export interface Deferral {
  /** Calls back once, in the next round of the event loop; if it is soon, among the immediates of Node's C++ code. */
  schedule(): void;
}

/** While it is started the event loop does not wait for events, and yet is not kept alive. */
export interface Idle {
  start(): void;
  stop(): void;
}

export interface Native {
  Idle: new () => Idle;
  Deferral: new (callback: () => void, isSoon: boolean) => Deferral;
  /** An error that nobody caught: to `uncaughtException`, or the process ends. */
  reportUncaught(error: unknown): void;
  Poll: new (descriptor: Descriptor, callback: () => void) => Poll;

  createMemory(name: string, length: number): Descriptor;
  createNamedMemory(name: string, length: number): Descriptor;
  openNamedMemory(name: string): Descriptor;
  unlinkNamedMemory(name: string): void;
  /** Size in bytes, seals, whether it is on tmpfs, uid of the owner; nothing but -1 for seals of what cannot be sealed. */
  inspectMemory(descriptor: Descriptor): [size: number, seals: number, tmpfs: boolean, uid: number];
  sealMemory(descriptor: Descriptor, seals: number): void;
  /** @param isPrivate whether what is written to it stays in this process; default false */
  mapMemory(descriptor: Descriptor, length: number, isPrivate?: boolean): ArrayBuffer;
  /** Maps the descriptor's memory in a mapping's place, at the same address: views of it stay valid. */
  remapMemory(memory: ArrayBuffer, descriptor: Descriptor, isPrivate: boolean): void;
  /** Control, data, and the data once more right behind: `control + 2 * data` bytes. */
  mapRing(descriptor: Descriptor, control: number, data: number): ArrayBuffer;
  /** Replaces the mapping's pages by private ones; views of it stay valid and see zeros. */
  retireMapping(memory: ArrayBuffer): void;
  /** V8 counts it no more as pressure on its heap, until it is shown, or gone. */
  hideMapping(memory: ArrayBuffer): void;
  /** To be called before the application gets it, which may move it to another thread. */
  showMapping(memory: ArrayBuffer): void;
  /** Detaches the ArrayBuffer and unmaps it: only where no view of it was lent to anybody. */
  unmapMemory(memory: ArrayBuffer): void;
  /** Allocates pages now. @returns false where the kernel cannot (they come when touched) */
  populateMapping(memory: ArrayBuffer, offset: number, length: number): boolean;

  /**
   * Private memory from a pool that reuses what was collected: at least `length` bytes, with whatever was in
   * them. @returns null when that is more than 4 MiB
   */
  allocateBlock(length: number): ArrayBuffer | null;

  /** Blocks. @returns false when the time was up */
  futexWait(memory: ArrayBuffer, offset: number, expected: number, milliseconds: number): boolean;
  futexWake(memory: ArrayBuffer, offset: number): void;

  /** The two ends of a pipe; the ringing end must stay with who made it. */
  createDoorbell(): [listening: Descriptor, ringing: Descriptor];
  /** Whether it is a pipe. Never waits, whatever it is. */
  isPipe(descriptor: Descriptor): boolean;
  /** @returns false when the doorbell is full, and so rings already, or nobody listens */
  ringDoorbell(ringing: Descriptor): boolean;
  /** @returns whether it was ringing, or null when nobody can ring it any more */
  clearDoorbell(listening: Descriptor): boolean | null;

  /** A path, or an abstract name, which starts with a zero byte. */
  listenUnix(path: string, backlog: number): Descriptor;
  /** Never waits: EAGAIN when the listener's backlog is full. */
  connectUnix(path: string): Descriptor;
  acceptUnix(listener: Descriptor): Descriptor | null;
  allowDescriptors(socket: Descriptor): void;
  peerCredentials(socket: Descriptor): [pid: number, uid: number, gid: number];
  /** Supplementary groups of the peer, as of then. */
  peerGroups(socket: Descriptor): number[];
  /** Inodes of both ends of a connected socket, by the kernel's word, or null where it does not tell. */
  socketInodes(socket: Descriptor): [own: number, peer: number] | null;
  /** @returns false when the socket's buffer is full */
  sendMessage(socket: Descriptor, bytes: Uint8Array, descriptors: readonly Descriptor[]): boolean;
  /**
   * @returns null when none waits; length 0 is the end; a negative length says that there were descriptors,
   *   which are lost because this process may have no more
   */
  receiveMessage(socket: Descriptor, buffer: Uint8Array): [length: number, ...descriptors: Descriptor[]] | null;

  /** 65536 * own port + the peer's, of a TCP connection within this host by its addresses; else 0. */
  localPorts(fd: number): number;
  inspectSocket(fd: number): [cookie: bigint, inode: bigint, networkNamespace: bigint];
  /**
   * Bytes that readers took out and that writers put in since the connection began, by the kernel's count; one more
   * written for who connected.
   * @returns null when it is not established both ways
   */
  countTcpBytes(fd: number): [read: number, written: number] | null;
  /** Whether a connection was reset, or is over in both directions. */
  isTcpClosed(fd: number): boolean;
  /** The one TCP socket of this network namespace with these ends, as its holder sees them, or null. */
  diagnoseTcp(
    isV6: boolean,
    source: Uint8Array,
    sourcePort: number,
    destination: Uint8Array,
    destinationPort: number,
  ): [state: number, inode: bigint, uid: number, cookie: bigint, pacingRate: bigint, networkNamespace: bigint] | null;
  /** Closing it sends a reset. */
  resetOnClose(fd: number): void;
  setPacingRate(fd: number, rate: bigint): void;

  /** @returns the descriptor that holds the lock until closed, or null when another holds it */
  lockDirectory(path: string): Descriptor | null;
  copy(target: Uint8Array, targetOffset: number, source: Uint8Array, sourceOffset: number, length: number): void;
  /** The same, for a target that another core has read: its lines are not fetched first. */
  copyPastCache(
    target: Uint8Array,
    targetOffset: number,
    source: Uint8Array,
    sourceOffset: number,
    length: number,
  ): void;
}

/** The shape of Node's own system errors. */
export interface SystemError extends Error {
  code: string;
  errno: number;
  syscall: string;
}

function load(): Native {
  if (process.platform !== 'linux') {
    throw new ShmloopError('ERR_SHMLOOP_UNSUPPORTED', `shared memory is for Linux; this is ${process.platform}`);
  }
  const require = createRequire(import.meta.url);
  const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..');
  return throwing((require('node-gyp-build') as (root: string) => Native)(packageRoot));
}

/** The addon as it is used: its functions return what they fail with, and these throw it. Classes stay as they are. */
function throwing(addon: Native): Native {
  const calls = Object.entries(addon).map(([name, call]) => [name, /^[A-Z]/.test(name) ? call : orThrow(call)]);
  return Object.fromEntries(calls);
}

function orThrow(call: (...args: unknown[]) => unknown) {
  return (...args: unknown[]) => {
    const result = call(...args);
    if (result instanceof Error) throw result;
    return result;
  };
}

let loaded: Native | undefined;

/**
 * The addon, loaded on first use.
 * @throws ERR_SHMLOOP_UNSUPPORTED on a platform other than Linux
 */
export function native(): Native {
  loaded ??= load();
  return loaded;
}
