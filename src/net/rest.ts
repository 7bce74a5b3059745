import { readSync } from '../fs.js';
import { ownerOf, type TcpHandle } from './internals.js';
import { raw } from './raw.js';

/** A process, or its parent, that messages are sent to over Node's IPC. */
export interface IpcTarget extends NodeJS.EventEmitter {
  _send?(
    message: unknown,
    handle?: unknown,
    options?: { keepOpen?: boolean; swallowErrors?: boolean },
    callback?: (error: Error | null) => void,
  ): boolean;
}

/** As Node's own spawn gets them. */
export interface SpawnOptions {
  envPairs?: string[];
  stdio?: unknown;
}

interface InternalMessage {
  cmd?: unknown;
  msg?: unknown;
}

/** What the program sent with a socket, and what is to be read from that before what TCP brings. */
interface MessageWithRest {
  cmd: typeof REST;
  message: unknown;
  /** Base64: some channels have JSON only. */
  rest: string;
}

interface Readable {
  push(data: Buffer): boolean;
}

// Node takes messages by such names to be its own, and ignores those that it does not know.
const HERE = 'NODE_SHMLOOP';
const REST = 'NODE_SHMLOOP_REST';

const able = new WeakSet<IpcTarget>();
/** Of sockets that came with it what is to be read before what TCP brings. */
const unread = new WeakMap<TcpHandle, Buffer>();

/** Whether what gets a socket there can also get the bytes that were read ahead of it. */
export function takesRest(target: IpcTarget): boolean {
  return able.has(target);
}

export function withRest(message: unknown, rest: readonly Uint8Array[]): MessageWithRest {
  return { cmd: REST, message, rest: Buffer.concat(rest).toString('base64') };
}

/** Tells a child by its environment, as Node does of the channel itself, that its parent can. */
export function announceTo(options: SpawnOptions | undefined): void {
  // Whatever the application gave: Node checks it after this.
  const { envPairs, stdio } = options ?? {};
  if (Array.isArray(stdio) && stdio.includes('ipc') && Array.isArray(envPairs)) envPairs.push(`${HERE}=1`);
}

/** This process is a child: if its parent can take a rest it is told that this one can as well. */
export function answerParent(): void {
  if (process.env[HERE] === undefined) return;
  delete process.env[HERE];
  const parent = process as IpcTarget;
  able.add(parent);
  if (process.connected) parent._send?.({ cmd: HERE }, undefined, { swallowErrors: true }, () => undefined);
}

/** Hears whether a child can take a rest. Nobody else sees that message. */
export function hearChild(child: IpcTarget): void {
  const { emit } = child;
  Object.defineProperty(child, 'emit', {
    configurable: true,
    writable: true,
    value(this: IpcTarget, name: string, ...args: unknown[]) {
      if (name !== 'internalMessage' || (args[0] as InternalMessage).cmd !== HERE) {
        return emit.call(this, name, ...args);
      }
      able.add(child);
      return true;
    },
  });
}

/** Takes what comes with sockets. */
export function listenForRest(target: IpcTarget): void {
  target.prependListener('internalMessage', (message: InternalMessage, handle?: TcpHandle) => {
    if (isWithRest(message)) {
      // The socket was closed before its turn to be sent came.
      target.emit('message', message.message, undefined);
    } else if (handle !== undefined && isWithRest(message.msg)) {
      const { message: own, rest } = message.msg;
      message.msg = own;
      readFirst(handle, Buffer.from(rest, 'base64'));
    }
  });
}

function isWithRest(message: unknown): message is MessageWithRest {
  return (message as InternalMessage | undefined)?.cmd === REST;
}

/**
 * Has the socket that is to be made of a handle read this before what TCP brings, and like that: not at once, so that
 * who passes the socket on first passes this on, too.
 */
function readFirst(tcp: TcpHandle, rest: Buffer): void {
  let isWanted = false;
  unread.set(tcp, rest);
  const deliver = () => {
    if (!isWanted || !unread.has(tcp)) return;
    takeUnread(tcp);
    const { reading } = tcp;
    const goesOn = ownerOf<Readable>(tcp)?.push(rest);
    if (goesOn && tcp.reading === reading) tcp.readStart();
    else tcp.reading = false;
  };
  tcp.readStart = () => {
    isWanted = true;
    setImmediate(deliver);
    return 0;
  };
  tcp.readStop = () => {
    isWanted = false;
    return 0;
  };
  Object.defineProperty(tcp, 'bytesRead', {
    configurable: true,
    get: () => rest.length + raw.bytesRead(tcp),
  });
}

/** What its owner was to read first, and has not. */
export function takeUnread(tcp: TcpHandle): Uint8Array[] {
  const rest = unread.get(tcp);
  if (rest === undefined) return [];
  unread.delete(tcp);
  Reflect.deleteProperty(tcp, 'readStart');
  Reflect.deleteProperty(tcp, 'readStop');
  return [rest];
}

/** Reads up to so many bytes that the kernel has, without waiting for more. */
export function readNow(descriptor: number, length: number): Uint8Array {
  const memory = Buffer.allocUnsafe(length);
  try {
    return memory.subarray(0, length > 0 ? readSync(descriptor, memory) : 0);
  } catch {
    // There is nothing, or an error, which is the new owner's to meet.
    return memory.subarray(0, 0);
  }
}
