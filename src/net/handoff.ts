import { ChildProcess } from 'node:child_process';
import { Socket } from 'node:net';
import { untrack } from './accepted.js';
import { leaveRings } from './attach.js';
import { restoreHandle } from './facade.js';
import type { TcpHandle } from './internals.js';
import { observe } from './observe.js';
import { connectionOf } from './switched-tcp.js';
import { setReason } from './transport.js';
import { isMoved, markMoved } from './upgrade.js';

type Send = (this: Sender, message: unknown, handle: unknown, ...rest: unknown[]) => boolean;

interface Sender {
  _send?: Send;
}

/**
 * Makes sockets that go to another process, or thread, leave shared memory first: their new owner gets the TCP
 * socket alone, and the peer sends over it what nobody has read yet. Nothing waits for that.
 */
export function hookHandoff(): void {
  const prototype = ChildProcess.prototype as unknown as { spawn(options: unknown): unknown };
  const { spawn } = prototype;
  prototype.spawn = function (this: Sender, options: unknown) {
    const result = spawn.call(this, options);
    hookSend(this);
    return result;
  };
  hookSend(process as unknown as Sender);
  hookTransfer();
}

function hookSend(target: Sender): void {
  const { _send: send } = target;
  if (send === undefined) return;
  target._send = function (message, handle, ...rest) {
    if (handle instanceof Socket) release(handle);
    return send.call(this, message, handle, ...rest);
  };
}

/** `postMessage` with a socket in its transfer list, which Node has since 24. */
function hookTransfer(): void {
  const prototype = Socket.prototype as unknown as Record<symbol, (this: Socket) => unknown>;
  const symbol = Object.getOwnPropertySymbols(prototype).find(
    ({ description }) => description === 'messaging_transfer_symbol',
  );
  if (symbol === undefined) return;
  const transfer = prototype[symbol] as (this: Socket) => unknown;
  prototype[symbol] = function (this: Socket) {
    release(this);
    return transfer.call(this);
  };
}

function release(socket: Socket): void {
  const tcp = restoreHandle(socket) as TcpHandle | undefined;
  if (tcp === undefined || isMoved(tcp)) return;
  markMoved(tcp);
  untrack(tcp);
  const wasSwitched = connectionOf(tcp)?.isSwitched;
  leaveRings(tcp);
  if (wasSwitched) observe.downgrade(tcp, 'moved');
  setReason(tcp, 'moved');
}
