import type { Address, TcpHandle } from './internals.js';

/** One end of a connection: 4 or 16 bytes, and a port. IPv4 mapped into IPv6 is IPv4. */
export interface End {
  readonly address: Uint8Array;
  readonly port: number;
}

/** A connection as the holder of one end sees it. */
export interface Tuple {
  readonly local: End;
  readonly remote: End;
}

/** @returns undefined when it is not connected any more, or by addresses that mean something on one link only */
export function tupleOf(tcp: TcpHandle): Tuple | undefined {
  const local: Partial<Address> = {};
  const remote: Partial<Address> = {};
  if (tcp.getsockname(local) !== 0 || tcp.getpeername(remote) !== 0) return undefined;
  const ends = [endOf(local as Address), endOf(remote as Address)];
  return ends[0] && ends[1] && { local: ends[0], remote: ends[1] };
}

/** The same for who has the other end, as text. */
export function mirroredKey({ local, remote }: Tuple): string {
  return keyOf({ local: remote, remote: local });
}

export function keyOf({ local, remote }: Tuple): string {
  return `${textOf(local)} ${textOf(remote)}`;
}

export function textOf({ address, port }: End): string {
  return `${Buffer.from(address).toString('hex')}:${port}`;
}

/** @returns undefined when it is none */
export function parseEnd(text: string): End | undefined {
  const match = /^([0-9a-f]{8}|[0-9a-f]{32}):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port === 0 || port > 65_535) return undefined;
  return { address: Buffer.from(match[1] as string, 'hex'), port };
}

function endOf({ address, port }: Address): End | undefined {
  if (address.includes('%')) return undefined;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  const v4 = mapped?.[1] ?? (address.includes(':') ? undefined : address);
  if (v4 !== undefined) return { address: Uint8Array.from(v4.split('.').map(Number)), port };
  return { address: parseV6(address), port };
}

/** What the kernel's numbers look like as text, back to numbers. */
function parseV6(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  const [head = '', tail] = text.split('::');
  const words = (part: string) => (part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16)));
  const before = words(head);
  const after = tail === undefined ? [] : words(tail);
  const all = [...before, ...new Array(8 - before.length - after.length).fill(0), ...after];
  for (const [i, word] of all.entries()) {
    bytes[2 * i] = word >> 8;
    bytes[2 * i + 1] = word & 255;
  }
  return bytes;
}
