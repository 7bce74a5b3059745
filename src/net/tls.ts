import { createRequire } from 'node:module';
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

const require = createRequire(import.meta.url);

/** TLS sockets that connect within this host, as far as their addresses are known yet. */
const local = new WeakSet<tls.TLSSocket>();
/** What the `tls.connect` that is running says of its host; undefined outside. */
let isLocalConnect: boolean | undefined;

/**
 * Makes TLS read and write a facade where the connection is, or may be, within this host. It is loaded for that: nothing
 * that a program could not see tells when the program itself does so.
 */
export function hookTls(): void {
  if (process.versions.openssl === undefined) return;
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
