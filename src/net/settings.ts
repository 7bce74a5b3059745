import { checkOptions, invalid as invalidArgument, type ShmloopError } from '../errors.js';
import { isCapacity } from '../ring/index.js';

/** When a connection switches. */
export type UpgradeMode = 'auto' | 'eager';

/** What the environment, or `configure()`, says of the drop-in. */
export interface NetSettings {
  upgrade: UpgradeMode;
  /** Ports of servers whose connections may switch: `"8080,9000-9100"`, or with a `!` before each one those that may not. */
  ports: string;
  /**
   * Bytes of the ring that each end of a connection reads from: a power of two from 4096 to 67108864. A sixteenth of
   * it once half of `memory` is used.
   */
  ringSize: number;
  /** Bytes of rings that this thread allocates at most. */
  memory: number;
  /** Whether a peer in another pid namespace may prove by a mark on its socket that it holds it. */
  challenge: boolean;
}

export const settings: NetSettings = {
  upgrade: 'auto',
  ports: '',
  ringSize: 8 * 1024 * 1024,
  memory: 1024 * 1024 * 1024,
  challenge: false,
};

interface Range {
  first: number;
  last: number;
}

let allowed: Range[] = [];
let denied: Range[] = [];

/** Whether connections to this port may switch. */
export function isPortAllowed(port: number): boolean {
  const isIn = ({ first, last }: Range) => first <= port && port <= last;
  return !denied.some(isIn) && (allowed.length === 0 || allowed.some(isIn));
}

/** @throws ERR_SHMLOOP_INVALID_ARGUMENT; then nothing is changed */
export function changeSettings(changes: Partial<NetSettings>): void {
  checkOptions(changes);
  const next = { ...settings };
  for (const [key, value] of Object.entries(changes)) {
    if (value !== undefined) Object.assign(next, { [key]: value });
  }
  if (next.upgrade !== 'auto' && next.upgrade !== 'eager') throw invalid('upgrade', 'auto or eager', next.upgrade);
  if (!isCapacity(next.ringSize)) throw invalid('ringSize', 'a power of two from 4096 to 67108864', next.ringSize);
  if (!(Number.isSafeInteger(next.memory) && next.memory >= 0))
    throw invalid('memory', 'a number of bytes', next.memory);
  if (typeof next.ports !== 'string') throw invalid('ports', 'like 8080,9000-9100 or !5432', next.ports);
  const ranges = next.ports.split(',').map((text) => text.trim());
  const parsed = ranges.filter((text) => text !== '').map(parseRange);
  allowed = parsed.filter(({ isDenied }) => !isDenied);
  denied = parsed.filter(({ isDenied }) => isDenied);
  Object.assign(settings, next);
}

/** Takes what the environment says. @throws ERR_SHMLOOP_INVALID_ARGUMENT */
export function readEnvironment(env: NodeJS.ProcessEnv): void {
  const bytes = (text: string | undefined) => (text ? Number(text) : undefined);
  changeSettings({
    upgrade: (env.SHMLOOP_UPGRADE || undefined) as UpgradeMode | undefined,
    ports: env.SHMLOOP_PORTS,
    ringSize: bytes(env.SHMLOOP_RING_SIZE),
    memory: bytes(env.SHMLOOP_MEMORY),
    challenge: env.SHMLOOP_CHALLENGE === undefined ? undefined : env.SHMLOOP_CHALLENGE === 'on',
  });
}

function parseRange(text: string): Range & { isDenied: boolean } {
  const match = /^(!?)(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const first = Number(match?.[2]);
  const last = Number(match?.[3] ?? match?.[2]);
  if (match === null || first > last || last > 65_535) throw invalid('ports', 'like 8080,9000-9100 or !5432', text);
  return { first, last, isDenied: match[1] === '!' };
}

function invalid(name: string, what: string, value: unknown): ShmloopError {
  return invalidArgument`${name} is ${what}, not ${value}`;
}
