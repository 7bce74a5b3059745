/** Programs of several users that meet in a directory which all of them can enter. */
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { type Fixture, type FixtureOptions, type Report, useSandbox } from './support.js';

export const isRoot = process.geteuid?.() === 0;
export const ROOT = 0;
export const ONE = 12_345;
export const OTHER = 12_346;
export const REJECTED = { code: 'ERR_SHMLOOP_PEER_REJECTED' };
export const UNUSABLE = { code: 'ERR_SHMLOOP_RUNTIME_DIRECTORY' };

export class Member {
  constructor(
    readonly fixture: Fixture,
    readonly pid: number,
    readonly directory: string,
  ) {}

  async does(act: string, args: object = {}): Promise<Report> {
    this.fixture.tell({ act, ...args });
    return (await this.fixture.next('did')).value;
  }

  binds(name: string, allow?: object, check?: string): Promise<Report> {
    return this.does('bind', { name, options: { directory: this.directory, allow }, check });
  }

  connects(name: string, uid?: number): Promise<Report> {
    return this.does('connect', { name, options: this.expecting(uid) });
  }

  publishes(name: string, allow?: object, check?: string): Promise<Report> {
    return this.does('publish', { name, options: { directory: this.directory, allow }, check });
  }

  subscribes(name: string, uid?: number): Promise<Report> {
    return this.does('subscribe', { name, options: this.expecting(uid) });
  }

  /** Options that find a name of that user's. */
  expecting(uid?: number): object {
    return { directory: this.directory, expect: uid === undefined ? undefined : { uid } };
  }
}

/** Members for the tests of a file, and the directory, of root, that they meet in. */
export function useMembers() {
  let directory = '';
  const members: Member[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'shmloop-shared-'));
    chmodSync(directory, 0o755);
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  const sandbox = useSandbox();
  afterEach(async () => {
    // One in a container does not go with the command that made that: it has another user since.
    for (const { fixture } of members.splice(0)) {
      fixture.tell({ act: 'end' });
      await fixture.exited;
    }
  });
  return {
    get directory() {
      return directory;
    },
    at: (name: string) => join(directory, name),
    async member(uid?: number, more: object = {}, options: FixtureOptions = {}): Promise<Member> {
      const fixture = sandbox.start('member', more, { uid, ...options });
      const made = new Member(fixture, (await fixture.next('ready')).pid, directory);
      members.push(made);
      return made;
    },
    /** Makes the directory that user's. */
    owned: (uid: number) => chownSync(directory, uid, uid),
  };
}
