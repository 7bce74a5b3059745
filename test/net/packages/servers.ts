import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/** A database's server of its own, in a temporary directory, on a port that was free. */
export interface DatabaseServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** The user that a server runs as. */
interface User {
  uid?: number;
  gid?: number;
}

const POSTGRES_VERSIONS = '/usr/lib/postgresql';

/** Where it is installed, if it is. */
export const redisServer = find('redis-server', directoriesOfPath());
export const postgres = find('postgres', [...directoriesOfPostgres(), ...directoriesOfPath()]);

export function startRedis(): Promise<DatabaseServer> {
  return inDirectory('shmloop-redis-', async (directory) => {
    const port = await freePort();
    const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'no'];
    return start(spawn(redisServer as string, args), 'SIGTERM', port, directory, /Ready to accept connections/);
  });
}

/** @param certificates the directory of what it shows to clients that want TLS */
export function startPostgres(certificates: string): Promise<DatabaseServer> {
  return inDirectory('shmloop-postgres-', async (directory) => {
    const user = userOfPostgres();
    own(directory, user, 0o700);
    const data = join(directory, 'data');
    const options = { ...user, cwd: directory, env: { ...process.env, LC_ALL: 'C' }, stdio: 'pipe' as const };
    const initdb = join(dirname(postgres as string), 'initdb');
    execFileSync(initdb, ['-D', data, '-U', 'tester', '-A', 'trust', '--no-sync'], options);
    for (const name of ['server.key', 'server.pem']) {
      copyFileSync(join(certificates, name), join(data, name));
      own(join(data, name), user, 0o600);
    }
    const port = await freePort();
    const settings = ['fsync=off', 'ssl=on', 'ssl_key_file=server.key', 'ssl_cert_file=server.pem'];
    const args = ['-D', data, '-p', `${port}`, '-h', '127.0.0.1', '-k', directory];
    const child = spawn(postgres as string, [...args, ...settings.flatMap((setting) => ['-c', setting])], options);
    return start(child, 'SIGINT', port, directory, /ready to accept connections/);
  });
}

async function inDirectory<T>(prefix: string, work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), prefix));
  try {
    return await work(directory);
  } catch (error) {
    rmSync(directory, { recursive: true });
    throw error;
  }
}

async function start(
  child: ChildProcess,
  signal: NodeJS.Signals,
  port: number,
  directory: string,
  ready: RegExp,
): Promise<DatabaseServer> {
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  let output = '';
  await new Promise<void>((resolve, reject) => {
    const hear = (text: string) => {
      output += text;
      if (ready.test(output)) resolve();
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.on('error', reject);
    ended.then(() => reject(new Error(`it ended: ${output}`)));
  });
  const stop = async () => {
    child.kill(signal);
    await ended;
    rmSync(directory, { recursive: true });
  };
  return { port, stop };
}

/** PostgreSQL refuses to run as root. */
function userOfPostgres(): User {
  if (process.geteuid?.() !== 0) return {};
  const id = (option: string) => Number(execFileSync('id', [option, 'postgres']));
  return { uid: id('-u'), gid: id('-g') };
}

function own(path: string, { uid, gid }: User, mode: number): void {
  chmodSync(path, mode);
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
}

function find(name: string, directories: string[]): string | undefined {
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
}

function directoriesOfPath(): string[] {
  return (process.env.PATH ?? '').split(delimiter);
}

/** Debian keeps them out of PATH. */
function directoriesOfPostgres(): string[] {
  if (!existsSync(POSTGRES_VERSIONS)) return [];
  return readdirSync(POSTGRES_VERSIONS).map((version) => join(POSTGRES_VERSIONS, version, 'bin'));
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
