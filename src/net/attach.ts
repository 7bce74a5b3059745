import { RING } from '../layout.js';
import type { Link, Port } from '../link/index.js';
import { Connection, type Counts, memoryOfRings } from './connection.js';
import type { TcpHandle } from './internals.js';
import { observe } from './observe.js';
import { encode } from './proposal.js';
import { settings } from './settings.js';
import { countSwitched } from './summary.js';
import { connectionOf, HandleHost, switchHandle, unswitchHandle } from './switched-tcp.js';
import { setReason } from './transport.js';

/** A switched connection, as its link's messages name it. */
export interface Session {
  peerMoved(link: Link): void;
}

/** By their names, which both ends know. */
export const sessions = new Map<string, Session>();

interface Side {
  link: Link;
  session: string;
  host: HandleHost;
}

const sides = new WeakMap<Connection, Side>();

/**
 * Bytes of the ring for one more connection: where half of the memory that the settings allow is used a sixteenth
 * of what they say, so that many get one. 0 when there is no room.
 */
export function nextRingSize(): number {
  const { ringSize, memory } = settings;
  const isAmple = memoryOfRings() + ringSize <= memory / 2;
  const size = isAmple ? ringSize : Math.max(RING.minCapacity, ringSize / 16);
  return memoryOfRings() + size <= memory ? size : 0;
}

/** Puts a channel that both ends agreed on before a TCP connection. */
export function attach(tcp: TcpHandle, port: Port, link: Link, session: string, counts: Counts, key: string): void {
  const host = new HandleHost(tcp);
  const connection = new Connection(tcp, port, counts, host);
  switchHandle(tcp, connection);
  setReason(tcp, 'negotiating');
  sides.set(connection, { link, session, host });
  connection.onConfirmed = () => {
    countSwitched(tcp);
    observe.upgrade(tcp, key);
  };
  connection.onUnconfirmed = () => {
    leaveRings(tcp);
    setReason(tcp, 'handshake');
    observe.fallback(tcp, 'handshake');
  };
  connection.onLeft = () => sessions.delete(session);
  sessions.set(session, {
    peerMoved: (from) => {
      if (from !== link) return;
      connection.abandonIfLeft();
      setReason(tcp, 'moved');
      observe.downgrade(tcp, 'moved');
    },
  });
}

/**
 * Goes back to TCP for good. What nobody has read the peer sends over TCP.
 * @param readNow see {@link Connection.detach}
 * @returns what is to be read first
 */
export function leaveRings(tcp: TcpHandle, readNow?: (length: number) => Uint8Array): Uint8Array[] {
  const connection = connectionOf(tcp);
  if (connection === undefined) return [];
  const { link, session, host } = sides.get(connection) as Side;
  const rest = connection.detach(() => link.tell(encode({ kind: 'moved', session })), readNow);
  unswitchHandle(tcp);
  host.release();
  return rest;
}
