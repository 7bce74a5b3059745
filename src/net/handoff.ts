import { ChildProcess } from 'node:child_process';
import { Socket } from 'node:net';
import { untrack } from './accepted.js';
import { leaveRings } from './attach.js';
import { restoreHandle } from './facade.js';
import type { TcpHandle } from './internals.js';
import { observe } from './observe.js';
import { raw } from './raw.js';
import {
  announceTo,
  answerParent,
  hearChild,
  type IpcTarget,
  listenForRest,
  readNow,
  type SpawnOptions,
  takesRest,
  takeUnread,
  withRest,
} from './rest.js';
import { connectionOf } from './switched-tcp.js';
import { setReason } from './transport.js';
import { isMoved, markMoved } from './upgrade.js';

/**
 * Makes sockets that go to another process, or thread, leave shared memory first: their new owner gets the TCP
 * socket, and the peer sends over it what nobody has read yet. Where TCP has bytes already that come after some of
 * those, they are read here and go with the message to the new owner, if it has the drop-in. Nothing waits for that.
 */
export function hookHandoff(): void {
  const prototype = ChildProcess.prototype as unknown as { spawn(options: SpawnOptions): unknown };
  const { spawn } = prototype;
  prototype.spawn = function (this: IpcTarget, options: SpawnOptions) {
    announceTo(options);
    const result = spawn.call(this, options);
    if (hookSend(this)) hearChild(this);
    return result;
  };
  if (hookSend(process as unknown as IpcTarget)) answerParent();
  hookTransfer();
}

/** @returns whether it has a channel */
function hookSend(target: IpcTarget): boolean {
  const { _send: send } = target;
  if (send === undefined) return false;
  target._send = function (this: IpcTarget, message, handle, options, ...others) {
    const isGiven = handle instanceof Socket && message !== undefined;
    const rest = isGiven ? release(handle, takesRest(this), options?.keepOpen) : [];
    return send.call(this, rest.length > 0 ? withRest(message, rest) : message, handle, options, ...others);
  };
  listenForRest(target);
  return true;
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
    release(this, false);
    return transfer.call(this);
  };
}

/** @returns what the new owner has to read first, if it can */
function release(socket: Socket, canTakeRest: boolean, isKept = false): Uint8Array[] {
  const tcp = restoreHandle(socket) as TcpHandle | undefined;
  if (tcp === undefined || isMoved(tcp)) return [];
  markMoved(tcp);
  untrack(tcp);
  const wasSwitched = connectionOf(tcp)?.isSwitched;
  const before = canTakeRest ? takeUnread(tcp) : [];
  const rest = [...before, ...leaveRings(tcp, canTakeRest ? (length) => readNow(tcp.fd, length) : undefined)];
  // It may have to wait for its turn to be sent: what comes until then is the new owner's, after the rest.
  if (rest.length > 0 && !isKept) raw.readStop(tcp);
  if (wasSwitched) observe.downgrade(tcp, 'moved');
  setReason(tcp, 'moved');
  return rest;
}
