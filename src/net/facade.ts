import { type Deferral, native } from '../native.js';
import {
  internals,
  type JsStreamHandle,
  ownerOf,
  type Status,
  type StreamRequest,
  type TcpHandle,
  UV_EOF,
} from './internals.js';
import { runAsCallback } from './scope.js';
import { isPortAllowed } from './settings.js';
import { connectionOf } from './switched-tcp.js';

/**
 * What C++ uses in place of a TCP handle: TLS and HTTP/2 read and write their stream below JavaScript, where no
 * switch can reach. It is a stream for C++ on the one side, and uses the handle on the other as `node:net` does,
 * on TCP or switched.
 */
export interface Facade extends JsStreamHandle {
  [kTcp]: TcpHandle;
  /** Who is told of errors: the stream on top, if there is one. */
  [kConsumer]: JsStreamHandle;
  /** Whether C++ is being told that a write is done, and may go on with what it had to hold back. */
  [kIsFinishing]?: boolean;
  [key: symbol]: unknown;
}

export interface SocketLike {
  _handle: TcpHandle | JsStreamHandle | null;
  connecting: boolean;
  parser?: unknown;
}

const kTcp = Symbol('shmloop tcp');
const kConsumer = Symbol('shmloop consumer');
const kIsFinishing = Symbol('shmloop is finishing');

/** Runs `wrap`, which asserts `isStreamBase` of a stream that is the right one already. */
export function withoutFacades<T>(wrap: () => T): T {
  isWrapping = true;
  try {
    return wrap();
  } finally {
    isWrapping = false;
  }
}

/** Who is told of what happens to the stream, in place of the facade's own user. */
export function setConsumer(facade: Facade, consumer: JsStreamHandle): void {
  facade[kConsumer] = consumer;
}

/** Sockets that C++ will use once they are connected. */
const awaiting = new WeakSet<SocketLike>();
let isWrapping = false;
let prototype: object | undefined;

/** Makes HTTP/2 use a facade for connections within this host. TLS is another matter. */
export function hookStreamBase(): void {
  hookGetter();
  const { TCP } = internals;
  const isTcp = TCP[Symbol.hasInstance as unknown as keyof typeof TCP] as unknown as (value: unknown) => boolean;
  Object.defineProperty(TCP, Symbol.hasInstance, {
    value: (value: unknown) => isTcp.call(TCP, value) || (value as Facade | null)?.[kTcp] !== undefined,
  });
}

/** The TCP handle that a stream is made of: beneath TLS, and beneath a facade. */
export function tcpBeneath(handle: object): object {
  const { _parent: parent, [kTcp]: tcp } = handle as { _parent?: object; [kTcp]?: object };
  return tcp ?? (parent ? tcpBeneath(parent) : handle);
}

/** The TCP handle of a socket, which has it itself from now on, if there was a facade before it. */
export function restoreHandle(socket: object): TcpHandle | undefined {
  const owner = socket as SocketLike;
  const handle = owner._handle;
  if (isFacade(handle)) {
    const tcp = handle[kTcp];
    tcp.onread = handle.onread;
    tcp.reading = handle.reading as boolean;
    owner._handle = tcp;
    return tcp;
  }
  return handle instanceof internals.TCP ? (handle as TcpHandle) : undefined;
}

/** A connection is established: if C++ asked for its stream before, it gets the facade now. */
export function facadeIfAwaited(tcp: TcpHandle): void {
  const owner = ownerOf<SocketLike>(tcp);
  if (owner && awaiting.has(owner) && isLocal(tcp)) putBefore(owner, tcp);
}

/**
 * What C++ is to hear, in order. It hears it from the event loop itself: from within a callback of JavaScript it
 * would run no ticks between what it calls back, as it does on TCP. Only calls of C++ belong here: code of the
 * application in an async scope of its own must not run where Node takes the next callback for the outermost.
 */
class Hearing {
  readonly #queue: (() => void)[] = [];
  readonly #isSoon: boolean;
  #deferral: Deferral | undefined;

  constructor(isSoon: boolean) {
    this.#isSoon = isSoon;
  }

  add(step: () => void): void {
    this.#deferral ??= new (native().Deferral)(() => this.#drain(), this.#isSoon);
    if (this.#queue.push(step) === 1) this.#deferral.schedule();
  }

  #drain(): void {
    try {
      // Not what those add: the event loop has its turn in between.
      for (let left = this.#queue.length; left > 0; left--) this.#queue.shift()?.();
    } finally {
      // An exception of the application must not hold up the others.
      if (this.#queue.length > 0) this.#deferral?.schedule();
    }
  }
}

const reads = new Hearing(false);
/** A write that a read led to is done before what was put off to immediates then, as on TCP: HTTP/2 relies on it. */
const requests = new Hearing(true);

/** What arrived is heard unless the stream is closed by then. */
function later(facade: Facade, step: () => void): void {
  reads.add(() => {
    if (facade[kTcp].fd >= 0) step();
  });
}

/** Whoever reads `isStreamBase` is about to hand the stream to C++. */
function hookGetter(): void {
  Object.defineProperty(internals.TCP.prototype, 'isStreamBase', {
    configurable: true,
    get(this: TcpHandle): boolean {
      const owner = ownerOf<SocketLike>(this);
      if (!owner || owner._handle !== this || isWrapping) return true;
      // Node's HTTP server gives it back when somebody else wants the data, or does without.
      if (owner.parser) return connectionOf(this) === undefined;
      if (owner.connecting) awaiting.add(owner);
      else if (isLocal(this)) putBefore(owner, this);
      return true;
    },
  });
}

export function putBefore(owner: SocketLike, tcp: TcpHandle): Facade {
  const { onread, reading } = tcp;
  const facade = facadeOf(tcp, owner);
  facade.onread = onread;
  facade.reading = reading;
  owner._handle = facade;
  return facade;
}

export function facadeOf(tcp: TcpHandle, owner: object): Facade {
  prototype ??= facadePrototype();
  const facade = new internals.JSStream() as Facade;
  Object.setPrototypeOf(facade, prototype);
  facade[kTcp] = tcp;
  facade[kConsumer] = facade;
  setOwner(facade, owner);
  tcp.onread = (memory) => {
    arrived(facade, memory);
    return undefined;
  };
  return facade;
}

function arrived(facade: Facade, memory: ArrayBuffer | undefined): void {
  const { streamBaseState, kReadBytesOrError, kArrayBufferOffset } = internals;
  const status = streamBaseState[kReadBytesOrError] as number;
  const offset = streamBaseState[kArrayBufferOffset] as number;
  if (status > 0) {
    const data = new Uint8Array(memory as ArrayBuffer, offset, status);
    later(facade, () => facade.readBuffer(data));
  } else if (status === UV_EOF) {
    later(facade, () => facade.emitEOF());
  } else if (status < 0) {
    // A JSStream has no way to say so; the one on top hears it as from its own handle.
    later(facade, () => setImmediate(failConsumer, facade, status));
  }
}

function failConsumer(facade: Facade, status: Status): void {
  if (facade[kTcp].fd < 0) return;
  const { streamBaseState, kReadBytesOrError } = internals;
  runAsCallback(facade[kConsumer], () => {
    streamBaseState[kReadBytesOrError] = status;
    facade[kConsumer].onread(undefined);
  });
}

export function isFacade(handle: unknown): handle is Facade {
  return (handle as Facade | null)?.[kTcp] !== undefined;
}

/** Whether the connection could switch, by its ends: which of the two ports is the server's is not known here. */
export function isLocal(tcp: TcpHandle): boolean {
  const ports = tcp.fd < 0 ? 0 : native().localPorts(tcp.fd);
  return ports !== 0 && (isPortAllowed(Math.floor(ports / 65_536)) || isPortAllowed(ports % 65_536));
}

export function setOwner(handle: object, owner: object): void {
  (handle as Record<symbol, object>)[internals.owner] = owner;
}

function facadePrototype(): object {
  const { JSStream, WriteWrap, ShutdownWrap, streamBaseState, kLastWriteWasAsync } = internals;
  const Base = JSStream as unknown as new () => Facade;

  class TcpFacade extends Base {
    declare [kTcp]: TcpHandle;

    onreadstart(): Status {
      this[kTcp].reading = true;
      return this[kTcp].readStart();
    }

    onreadstop(): Status {
      this[kTcp].reading = false;
      return this[kTcp].readStop();
    }

    isClosing(): boolean {
      return this[kTcp].fd < 0;
    }

    onwrite(request: StreamRequest, buffers: Uint8Array[]): Status {
      const own = new WriteWrap();
      own.oncomplete = (status) => finishLater(this, request, status);
      // Kept until it is done: the kernel may read from it.
      own.handle = buffers;
      const status = this[kTcp].writev(own, buffers, true);
      if (status !== 0 || streamBaseState[kLastWriteWasAsync]) return status;
      // HTTP/2 holds back what it has to say while a write is under way; TLS is not prepared for one that is not.
      // When a write is done HTTP/2 goes on reading what it held back. If one more was done within that it would do
      // so within itself, and read the same once more.
      if (this[kConsumer] === this && !this[kIsFinishing]) this.finishWrite(request, 0);
      else finishLater(this, request, 0);
      return 0;
    }

    onshutdown(request: StreamRequest): Status {
      const own = new ShutdownWrap();
      own.oncomplete = (status) => requests.add(() => this.finishShutdown(request, status));
      return this[kTcp].shutdown(own);
    }

    override close(callback?: () => void): void {
      this[kTcp].close(callback && (() => callback.call(this)));
    }

    override get fd(): number {
      return this[kTcp].fd;
    }

    override get bytesRead(): number {
      return this[kTcp].bytesRead;
    }

    override get bytesWritten(): number {
      return this[kTcp].bytesWritten;
    }

    get writeQueueSize(): number {
      return this[kTcp].writeQueueSize;
    }
  }
  Object.defineProperty(TcpFacade, 'name', { value: 'TCP' });
  forwardTheRest(TcpFacade.prototype);
  return TcpFacade.prototype;
}

function finishLater(facade: Facade, request: StreamRequest, status: Status): void {
  requests.add(() => {
    facade[kIsFinishing] = true;
    try {
      facade.finishWrite(request, status);
    } finally {
      facade[kIsFinishing] = false;
    }
  });
}

/** Whatever a TCP handle can do and a stream cannot, as this Node has it. */
function forwardTheRest(facade: object): void {
  for (let from: object = internals.TCP.prototype; from !== Object.prototype; from = Object.getPrototypeOf(from)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(from))) {
      if (name in facade || typeof value !== 'function') continue;
      Object.defineProperty(facade, name, {
        configurable: true,
        writable: true,
        value(this: Facade, ...args: unknown[]) {
          const tcp = this[kTcp] as unknown as Record<string, (...args: unknown[]) => unknown>;
          return tcp[name]?.(...args);
        },
      });
    }
  }
}
