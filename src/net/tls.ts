import { createRequire } from 'node:module';
import net from 'node:net';
import type tls from 'node:tls';
import {
  type Facade,
  facadeOf,
  isFacade,
  isLocal,
  putBefore,
  type SocketLike,
  setConsumer,
  setOwner,
  withoutFacades,
} from './facade.js';
import { internals, type JsStreamHandle, type TcpHandle } from './internals.js';
import { isLocalTarget } from './local-target.js';

type WrapHandle = (
  this: tls.TLSSocket,
  wrap: SocketLike | null,
  handle: TcpHandle | Facade | undefined,
  ...rest: unknown[]
) => JsStreamHandle;

/** Where Node has its TLSSocket: before version 24, and since. */
const TLS_MODULES = ['NativeModule _tls_wrap', 'NativeModule internal/tls/wrap'];

const require = createRequire(import.meta.url);

/** TLS sockets that connect within this host, as far as their addresses are known yet. */
const local = new WeakSet<tls.TLSSocket>();
/** What the `tls.connect` that is running says of its host; undefined outside. */
let isLocalConnect: boolean | undefined;

/**
 * Makes TLS read and write a facade where the connection is, or may be, within this host. Not before the
 * program loads TLS: it reads `net.Socket` at the latest when it makes its first socket.
 */
export function hookTls(): void {
  if (isTlsLoaded()) return hookLoaded();
  const { Socket } = net;
  const restore = (value: unknown) =>
    Object.defineProperty(net, 'Socket', { configurable: true, enumerable: true, writable: true, value });
  Object.defineProperty(net, 'Socket', {
    configurable: true,
    enumerable: true,
    get: () => {
      if (isTlsLoaded()) {
        restore(Socket);
        hookLoaded();
      }
      return Socket;
    },
    set: restore,
  });
}

function isTlsLoaded(): boolean {
  const { moduleLoadList } = process as unknown as { moduleLoadList?: string[] };
  return moduleLoadList?.some((name) => TLS_MODULES.includes(name)) ?? true;
}

function hookLoaded(): void {
  const loaded = require('node:tls') as typeof tls;
  const prototype = loaded.TLSSocket.prototype as unknown as { _wrapHandle: WrapHandle };
  const { _wrapHandle: wrapHandle } = prototype;
  prototype._wrapHandle = function (wrap, handle, ...rest) {
    const beneath = beneathTls(this, wrap, handle);
    const stream = withoutFacades(() => wrapHandle.call(this, wrap, beneath, ...rest));
    if (isFacade(beneath)) setConsumer(beneath, stream);
    return stream;
  };
  hookConnect(loaded);
}

/** The host is known here, and not any more where the handle is made: TLS to other hosts stays as it is. */
function hookConnect(loaded: typeof tls): void {
  const { connect } = loaded;
  loaded.connect = function (this: unknown, ...args: unknown[]) {
    const before = isLocalConnect;
    isLocalConnect = isLocalTarget(args);
    try {
      return Reflect.apply(connect, this, args);
    } finally {
      isLocalConnect = before;
    }
  } as typeof tls.connect;
}

function beneathTls(socket: tls.TLSSocket, wrap: SocketLike | null, handle: TcpHandle | Facade | undefined) {
  if (!handle) {
    const { pipe } = (socket as unknown as { _tlsOptions: { pipe?: boolean } })._tlsOptions;
    if (pipe || isLocalConnect === false) return undefined;
    local.add(socket);
    const tcp = new internals.TCP(0);
    setOwner(tcp, socket);
    return facadeOf(tcp, socket);
  }
  if (isFacade(handle) || !(handle instanceof internals.TCP)) return handle;
  if (wrap) return isLocal(handle) && wrap._handle === handle ? putBefore(wrap, handle) : handle;
  // The next one of several addresses: it is yet to connect, or has connected.
  return local.has(socket) || isLocal(handle) ? facadeOf(handle, socket) : handle;
}
