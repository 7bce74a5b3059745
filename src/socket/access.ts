import { invalid, systemError } from '../errors.js';
import { type Credentials, type Identity, isOwnUser, Listener, OVERFLOW_ID, services } from '../link/index.js';
import { pathOfName } from './names.js';

/** How long a check may take, in milliseconds: less than who connects waits for an answer. */
const CHECK_TIME = 3000;

/**
 * Who may connect to a name. Whoever is in one of the lists may; without lists, anybody. Where there is a
 * `check` it must agree as well. At least one of them is given. A user or group that this user namespace does not
 * map (65534) is nobody, and never allowed.
 */
export interface Allow {
  /** Users, by effective uid. */
  uids?: readonly number[];
  /** Groups, by effective gid or supplementary group. */
  gids?: readonly number[];
  /** Processes, as this pid namespace sees them. A number may be another process's by the time it is used. */
  pids?: readonly number[];
  /**
   * Asked for each channel, after the lists. What is not true within 3 s, or throws, is no. At most 64 are asked for
   * at a time by one peer; further ones find the backlog full.
   */
  check?: (credentials: Credentials) => boolean | Promise<boolean>;
}

/** Who may connect to a name, and where they find it. */
export interface SharingOptions {
  /** Who may connect, this user included. Default: this user, and nobody else. */
  allow?: Allow;
  /**
   * Where others find the name: an absolute path of a directory that exists, belongs to this user, and that nobody else
   * may write to, nor replace. Default: the runtime directory, which other users cannot enter.
   */
  directory?: string;
}

/** Decides who may connect to a name. */
export interface Access {
  /** Whether other users may. */
  readonly isOpen: boolean;
  /** What the lists say: nobody else gets a link. */
  lists(peer: Identity): boolean;
  /** Whether the peer may open a channel. */
  admits(peer: Identity): boolean | Promise<boolean>;
}

const OWN_USER: Access = { isOpen: false, lists: isOwnUser, admits: isOwnUser };

/** @throws ERR_SHMLOOP_INVALID_ARGUMENT */
export function accessOf(allow: Allow | undefined): Access {
  if (allow === undefined) return OWN_USER;
  if (typeof allow !== 'object' || allow === null) throw invalid('allow is an object');
  const { uids, gids, pids, check } = allow;
  for (const [name, ids] of Object.entries({ uids, gids, pids })) checkIds(name, ids);
  if (check !== undefined && typeof check !== 'function') throw invalid('allow.check is a function');
  if ((uids ?? gids ?? pids ?? check) === undefined) throw invalid('allow has one of uids, gids, pids, check');
  const users = new Set(uids);
  const groups = new Set(gids);
  const processes = new Set(pids);
  const hasLists = (uids ?? gids ?? pids) !== undefined;
  const lists = ({ pid, uid, gid, groups: more }: Identity) =>
    !hasLists || users.has(uid) || processes.has(pid) || [gid, ...more].some((group) => groups.has(group));
  return {
    isOpen: true,
    lists,
    admits: check === undefined ? lists : (peer) => lists(peer) && agrees(check, peer),
  };
}

/** Services whose name is being bound. */
const reserved = new Set<string>();

/**
 * Listens under a name for those who may connect.
 * @param service what it is called among the services of this domain: a thread has each once, whatever the directory
 * @param serve makes the listener's service, and adds it to the others
 * @throws EADDRINUSE when it is bound; as `pathOfName` and `Listener.bind` do
 */
export async function listenNamed<T>(
  name: string,
  service: string,
  access: Access,
  directory: string | undefined,
  serve: (listener: Listener) => T,
): Promise<T> {
  const path = pathOfName(name, directory, [process.geteuid?.() as number]);
  if (services.has(service) || reserved.has(service)) throw systemError('EADDRINUSE', 'bind', name);
  reserved.add(service);
  try {
    return serve(await Listener.bind(path, access.lists, access.isOpen));
  } finally {
    reserved.delete(service);
  }
}

function checkIds(name: string, ids: readonly number[] | undefined): void {
  if (ids === undefined) return;
  if (!Array.isArray(ids) || !ids.every((id) => Number.isSafeInteger(id) && id >= 0)) {
    throw invalid`allow.${name} is a list of non-negative integers`;
  }
  // What the kernel says of whom it cannot tell from others.
  const nobody = name === 'pids' ? 0 : OVERFLOW_ID;
  if (ids.includes(nobody)) throw invalid`allow.${name} cannot have ${nobody}, which is nobody in particular`;
}

/** Never rejects. The check runs in no call of the library, and after it. */
async function agrees(check: NonNullable<Allow['check']>, { pid, uid, gid }: Identity): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, CHECK_TIME, false);
  });
  try {
    await undefined;
    return (await Promise.race([check({ pid, uid, gid }), tooLate])) === true;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
