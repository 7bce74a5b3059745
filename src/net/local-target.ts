import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/**
 * Whether the arguments of `tls.connect` name this host.
 * @param args `(options)`, `(port, host)` or `(port, options)`, each with a callback or without
 */
export function isLocalTarget(args: readonly unknown[]): boolean {
  const options = args.find((argument) => typeof argument === 'object' && argument !== null) as
    | { host?: unknown; path?: unknown; socket?: unknown }
    | undefined;
  const host = options?.host ?? (typeof args[1] === 'string' ? args[1] : 'localhost');
  return options?.path == null && options?.socket == null && typeof host === 'string' && isThisHost(host);
}

/** @param address as text */
export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1' || address.startsWith('::ffff:127.');
}

function isThisHost(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost') || isLoopback(host)) return true;
  return (
    isIP(host) !== 0 && Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === host))
  );
}
