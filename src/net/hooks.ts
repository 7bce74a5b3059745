import { syncBuiltinESMExports } from 'node:module';
import { codeOf } from '../errors.js';
import { native } from '../native.js';
import { adopt, inspectNewcomers, markAnnounced, markSeen } from './accepted.js';
import { bufferedBehind } from './buffered.js';
import { connections } from './connection.js';
import { claimWork } from './copies.js';
import { facadeIfAwaited, hookStreamBase } from './facade.js';
import { hookHandoff } from './handoff.js';
import {
  type Address,
  type ConnectRequest,
  internals,
  loadInternals,
  type Status,
  type TcpHandle,
} from './internals.js';
import { isLoopback } from './local-target.js';
import { observe } from './observe.js';
import { hookParser } from './parser.js';
import { announcePort, withdrawPort } from './ports.js';
import { captureRaw } from './raw.js';
import { REASONS, type Reason } from './reasons.js';
import { hookAsyncReset, rememberContext } from './scope.js';
import { changeSettings, isPortAllowed, readEnvironment } from './settings.js';
import { hookShutdown } from './shutdown.js';
import { countConnection, startSummary } from './summary.js';
import { connectionOf, kNativeBuffer, kUserBuffer } from './switched-tcp.js';
import { hookTls } from './tls.js';
import { ownTransportOf, setReason, setReasonForAll } from './transport.js';
import { listenForProposals } from './upgrade.js';
import { watchConnected } from './watch.js';

type ConnectMethod = (this: TcpHandle, request: ConnectRequest, address: string, port: number) => Status;

/**
 * Makes TCP connections of this thread switch to shared memory where they can. Where they cannot at all, says so
 * once in the debug log and leaves everything alone. Another copy of this package that was first does it for both.
 * Never throws.
 */
export function install(): void {
  if (!claimWork({ transportOf: ownTransportOf, changeSettings })) return;
  const reason = prepare();
  if (reason !== undefined) {
    setReasonForAll(reason);
    observe.debug('all connections stay on TCP: %s', REASONS[reason]);
    return;
  }
  listenForProposals();
  hookConnect('connect');
  hookConnect('connect6');
  hookListen();
  hookReading();
  hookShutdown();
  hookStreamBase();
  hookTls();
  hookParser();
  hookHandoff();
  hookAsyncReset();
  syncBuiltinESMExports();
  process.on('exit', () => {
    for (const connection of connections) connection.flush(bufferedBehind(connection.tcp));
  });
}

/** @returns why it cannot be, if it cannot */
function prepare(): Reason | undefined {
  if (process.env.SHMLOOP === 'off') return 'off';
  if (process.platform !== 'linux') return 'platform';
  if (process.versions.bun !== undefined || process.versions.electron !== undefined) return 'internals';
  try {
    readEnvironment(process.env);
  } catch (error) {
    process.emitWarning(`all TCP connections stay on TCP: ${(error as Error).message}`, 'ShmloopWarning');
    return 'settings';
  }
  try {
    loadInternals();
  } catch (error) {
    observe.debug('%s', (error as Error).message);
    return codeOf(error) === 'ERR_ACCESS_DENIED' ? 'permission' : 'internals';
  }
  try {
    native();
  } catch (error) {
    observe.debug('%s', (error as Error).message);
    return codeOf(error) === 'ERR_ACCESS_DENIED' || codeOf(error) === 'ERR_DLOPEN_DISABLED' ? 'permission' : 'addon';
  }
  const { SHMLOOP_SUMMARY: file } = process.env;
  if (file) startSummary(file);
  captureRaw();
  return undefined;
}

function hookConnect(name: 'connect' | 'connect6'): void {
  const connect = internals.TCP.prototype[name] as ConnectMethod;
  internals.TCP.prototype[name] = function (this: TcpHandle, request, address, port) {
    markSeen(this);
    const isAllowed = isPortAllowed(port);
    if (!isAllowed) {
      setReason(this, 'port');
    } else {
      rememberContext(this);
    }
    const { oncomplete } = request;
    request.oncomplete = function (status, handle, ...rest) {
      if (status === 0) connected(handle, isAllowed, isLoopback(address));
      return oncomplete?.call(this, status, handle, ...rest);
    };
    return connect.call(this, request, address, port);
  };
}

/** Before the socket hears of it. */
function connected(tcp: TcpHandle, isAllowed: boolean, isOwnHost: boolean): void {
  countConnection(tcp);
  if (!isAllowed) return;
  if (!isOwnHost && native().localPorts(tcp.fd) === 0) return setReason(tcp, 'address');
  facadeIfAwaited(tcp);
  watchConnected(tcp);
}

function hookListen(): void {
  const { listen } = internals.TCP.prototype;
  internals.TCP.prototype.listen = function (this: TcpHandle, backlog) {
    const status = listen.call(this, backlog);
    const name: Partial<Address> = {};
    if (status === 0 && this.getsockname(name) === 0 && isPortAllowed(name.port as number)) {
      announce(this, name.port as number);
    }
    return status;
  };
}

function announce(server: TcpHandle, port: number): void {
  announcePort(port);
  const { close, onconnection } = server;
  server.onconnection = function (this: TcpHandle, status, accepted) {
    if (status === 0) markAnnounced(accepted as TcpHandle);
    return onconnection.call(this, status, accepted);
  };
  server.close = function (this: TcpHandle, callback) {
    server.close = close;
    inspectNewcomers();
    withdrawPort(port);
    close.call(this, callback);
  };
}

function hookReading(): void {
  const { readStart, useUserBuffer } = internals.TCP.prototype;
  internals.TCP.prototype.readStart = function (this: TcpHandle) {
    adopt(this);
    return readStart.call(this);
  };
  internals.TCP.prototype.useUserBuffer = function (this: TcpHandle, buffer) {
    Object.assign(this, { [kUserBuffer]: buffer, [kNativeBuffer]: buffer });
    const { onread } = this;
    // Until a switch C++ reads into what this returns, and nobody else hears of it.
    this.onread = ((memory?: ArrayBuffer) => {
      const next = onread.call(this, memory);
      if (next !== undefined && connectionOf(this) === undefined) {
        Object.assign(this, { [kUserBuffer]: next, [kNativeBuffer]: next });
      }
      return next;
    }) as typeof onread;
    return useUserBuffer.call(this, buffer);
  };
}
