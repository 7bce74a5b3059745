/**
 * What the switch uses of Node's insides, found and checked once. Where anything is missing, all connections
 * stay on TCP.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import net from 'node:net';
import { constants } from 'node:os';

/** A status of libuv: 0, a negative errno, or {@link UV_EOF}. */
export type Status = number;

export const UV_EOF = -4095;
export const UV_EPIPE = -constants.errno.EPIPE;
export const UV_ECANCELED = -constants.errno.ECANCELED;
export const UV_ECONNRESET = -constants.errno.ECONNRESET;

/** A request of Node's streams: what it calls back, with whatever its issuer hung on it. */
export interface StreamRequest {
  oncomplete?: (status: Status, handle: unknown, error: unknown) => void;
  handle?: unknown;
}

export interface ConnectRequest {
  oncomplete?: ((this: ConnectRequest, status: Status, handle: TcpHandle, ...rest: unknown[]) => void) | undefined;
}

export type OnRead = (this: StreamHandle, memory: ArrayBuffer | undefined) => Uint8Array | undefined;

export interface Address {
  address: string;
  family: string;
  port: number;
}

/** The methods by which `node:net` and the C++ streams use a handle. */
export interface StreamHandle {
  reading?: boolean;
  onread: OnRead;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly fd: number;
  readStart(): Status;
  readStop(): Status;
  shutdown(request: StreamRequest): Status;
  writeBuffer(request: StreamRequest, data: Uint8Array): Status;
  writev(request: StreamRequest, chunks: (Uint8Array | string)[], areBuffers: boolean): Status;
  writeUtf8String(request: StreamRequest, text: string): Status;
  writeAsciiString(request: StreamRequest, text: string): Status;
  writeLatin1String(request: StreamRequest, text: string): Status;
  writeUcs2String(request: StreamRequest, text: string): Status;
  useUserBuffer(buffer: Uint8Array): void;
  getAsyncId(): number;
  close(callback?: () => void): void;
}

export interface TcpHandle extends StreamHandle {
  readonly writeQueueSize: number;
  readonly isStreamBase: boolean;
  /** Of one that listens. */
  onconnection: (this: TcpHandle, status: Status, accepted?: TcpHandle) => void;
  reset(callback?: () => void): Status;
  asyncReset(resource?: object, ...rest: unknown[]): void;
  ref(): void;
  unref(): void;
  hasRef(): boolean;
  listen(backlog: number): Status;
  connect(request: ConnectRequest, address: string, port: number): Status;
  connect6(request: ConnectRequest, address: string, port: number): Status;
  getsockname(out: Partial<Address>): Status;
  getpeername(out: Partial<Address>): Status;
}

/** The StreamBase that JavaScript implements. */
export interface JsStreamHandle extends StreamHandle {
  readBuffer(data: Uint8Array): void;
  emitEOF(): void;
  finishWrite(request: StreamRequest, status: Status): void;
  finishShutdown(request: StreamRequest, status: Status): void;
}

export interface HttpParser {
  /** Its callbacks, by numbers that its constructor has. */
  [callback: number]: (...args: unknown[]) => unknown;
  consume(handle: StreamHandle): void;
  unconsume(): void;
  /** Set by Node's HTTP server while this reads its socket's handle. */
  _consumed?: boolean;
}

interface StreamWrap {
  WriteWrap: new () => StreamRequest;
  ShutdownWrap: new () => StreamRequest;
  streamBaseState: Int32Array;
  kReadBytesOrError: number;
  kArrayBufferOffset: number;
  kBytesWritten: number;
  kLastWriteWasAsync: number;
}

export interface Internals extends StreamWrap {
  TCP: { new (type: number): TcpHandle; prototype: TcpHandle };
  JSStream: { new (): JsStreamHandle; prototype: JsStreamHandle };
  /** Where this Node gives it. */
  HTTPParser: { prototype: HttpParser } | undefined;
  /** On a handle: the socket that has it. */
  owner: symbol;
  asyncId: symbol;
  triggerAsyncId: symbol;
  /** Where resources keep what AsyncLocalStorage holds, if this Node keeps it there. */
  contextFrame: symbol | undefined;
}

/** The socket that has a handle, if any does. */
export function ownerOf<Owner>(handle: object): Owner | undefined {
  return (handle as Record<symbol, Owner | undefined>)[internals.owner];
}

type Binding = (name: string) => Record<string, unknown>;

const TCP_METHODS = [
  'asyncReset',
  'connect',
  'connect6',
  'listen',
  'getsockname',
  'getpeername',
  'reset',
  'readStart',
  'readStop',
];
const STREAM_METHODS = ['writeBuffer', 'writev', 'writeUtf8String', 'writeLatin1String', 'shutdown', 'useUserBuffer'];
const JS_STREAM_METHODS = ['readBuffer', 'emitEOF', 'finishWrite', 'finishShutdown'];

/** Set by {@link loadInternals}, before anything else of this layer is used. */
export let internals: Internals;

/** @throws when this Node has them not, or does not give them */
export function loadInternals(): void {
  const tcp = bindingOf('tcp_wrap').TCP as Internals['TCP'];
  const jsStream = bindingOf('js_stream').JSStream as Internals['JSStream'];
  const wrap = bindingOf('stream_wrap') as unknown as StreamWrap;
  demandMethods(tcp, [...TCP_METHODS, ...STREAM_METHODS]);
  demandMethods(jsStream, [...JS_STREAM_METHODS, ...STREAM_METHODS]);
  for (const key of ['kReadBytesOrError', 'kArrayBufferOffset', 'kBytesWritten', 'kLastWriteWasAsync'] as const) {
    if (typeof wrap[key] !== 'number') throw missing(key);
  }
  if (typeof wrap.streamBaseState?.length !== 'number') throw missing('streamBaseState');
  const resource = new AsyncResource('SHMLOOP');
  internals = {
    ...wrap,
    TCP: tcp,
    JSStream: jsStream,
    HTTPParser: httpParser(),
    owner: ownerSymbol(tcp),
    asyncId: symbolOf(resource, 'async_id_symbol'),
    triggerAsyncId: symbolOf(resource, 'trigger_async_id_symbol'),
    contextFrame: contextFrameSymbol(resource),
  };
}

/** `process.binding` is deprecated on paper; it is also the only way to the very objects that `node:net` uses. */
function bindingOf(name: string): Record<string, unknown> {
  const { binding } = process as unknown as { binding: Binding };
  // With --no-deprecation it cannot be set, and need not be.
  if (process.noDeprecation) return binding(name);
  process.noDeprecation = true;
  try {
    return binding(name);
  } finally {
    Reflect.deleteProperty(process, 'noDeprecation');
  }
}

/** Node 24 does not give it. */
function httpParser(): Internals['HTTPParser'] {
  try {
    return bindingOf('http_parser').HTTPParser as Internals['HTTPParser'];
  } catch {
    return undefined;
  }
}

function demandMethods(type: { prototype: object } | undefined, names: readonly string[]): void {
  const prototype = type?.prototype as Record<string, unknown> | undefined;
  for (const name of names) {
    if (typeof prototype?.[name] !== 'function') throw missing(name);
  }
}

/** The handle never had a descriptor: there is nothing to close. */
function ownerSymbol(tcp: Internals['TCP']): symbol {
  const handle = new tcp(0);
  const socket = new net.Socket({ handle, manualStart: true } as net.SocketConstructorOpts);
  const symbol = symbolOf(handle, 'owner_symbol');
  socket.destroy();
  return symbol;
}

/** Not even asked for where there is none: a storage that was run costs every callback from then on. */
function contextFrameSymbol(resource: AsyncResource): symbol | undefined {
  const symbol = Object.getOwnPropertySymbols(resource).find(({ description }) => description === 'context_frame');
  if (symbol === undefined) return undefined;
  const storage = new AsyncLocalStorage<number>();
  const running = storage.run(1, () => new AsyncResource('SHMLOOP'));
  storage.disable();
  return (running as unknown as Record<symbol, unknown>)[symbol] === undefined ? undefined : symbol;
}

function symbolOf(object: object, description: string): symbol {
  const symbol = Object.getOwnPropertySymbols(object).find((own) => own.description === description);
  if (symbol === undefined) throw missing(description);
  return symbol;
}

function missing(what: string): Error {
  return new Error(`this Node has no ${what}`);
}
