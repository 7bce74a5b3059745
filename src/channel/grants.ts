import { invalid, ShmloopError } from '../errors.js';
import type { Credentials, GrantMessage, Port } from '../link/index.js';
import { insideOf, SharedRegion, type Sharing } from '../memory/index.js';
import { randomHex } from '../random.js';
import { broken, passedText } from './grant-messages.js';

/** Options of {@link Channel.grant}. */
export interface GrantOptions {
  /** What the peer may do. Default: what the region is for. */
  access?: 'read' | 'write';
  /** Bytes from the region's beginning. Default 0. */
  offset?: number;
  /** Bytes. Default: all that follow. */
  length?: number;
}

/** A row of the grant table. */
export interface GrantInfo {
  /** Nothing for a region that is there for messages: `sendRegion`, `sendv`. */
  readonly reference: string | undefined;
  readonly access: 'read' | 'write';
  /** Whether its bytes can never change again. */
  readonly immutable: boolean;
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  /** Who may map it. */
  readonly peer: Credentials;
  readonly since: Date;
  /** How often the peer has it mapped now. */
  readonly maps: number;
  readonly revoked: boolean;
}

/** Grants that the ends of one link may have on each other's account. */
const MAX_GRANTS = 1024;
/** Mappings that a peer may have at a time over one link. */
const MAX_MAPS = 4096;
const BYTES_OF_REFERENCE = 16;

/** What counts against the caps of a link. */
interface Counts {
  grants: number;
  maps: number;
}

const counts = new WeakMap<object, Counts>();

/** A grant as its owner holds it. */
export interface Entry {
  readonly id: number;
  readonly reference: string | undefined;
  readonly region: SharedRegion;
  readonly sharing: Sharing;
  readonly offset: number;
  readonly length: number;
  readonly since: Date;
  readonly onClosed: () => void;
  readonly released: Promise<void>;
  readonly resolve: () => void;
  maps: number;
  /** Messages in it that were not released. */
  messages: number;
  isRevoked: boolean;
}

/** The grants of this domain, all channels together. */
const table = new Set<Grants>();

/**
 * The grant table: what this process lets others map, over all of its channels. A grant stays in it until it
 * is revoked and the last mapping of it gone.
 */
export function grants(): GrantInfo[] {
  return [...table].flatMap((ofChannel) => ofChannel.list());
}

/** Memory that the other end of a channel may map, by its {@link reference}. */
export class Grant {
  readonly #grants: Grants;
  readonly #entry: Entry;

  /** Made by {@link Channel.grant}. */
  constructor(grants: Grants, entry: Entry) {
    this.#grants = grants;
    this.#entry = entry;
  }

  /**
   * What the peer maps it by: 32 hexadecimal digits, to be sent in any message. It cannot be guessed, and is
   * good on this channel only.
   */
  get reference(): string {
    return this.#entry.reference as string;
  }

  get access(): 'read' | 'write' {
    return accessOf(this.#entry.sharing);
  }

  get offset(): number {
    return this.#entry.offset;
  }

  /** Bytes. */
  get length(): number {
    return this.#entry.length;
  }

  /** How often the peer has it mapped now. */
  get maps(): number {
    return this.#entry.maps;
  }

  get revoked(): boolean {
    return this.#entry.isRevoked;
  }

  /**
   * Refuses further maps, and tells those who have it mapped.
   * @returns resolves when the last of them let go, or died. Nobody can be forced to: what a peer has mapped it
   *   has. A peer that never lets go keeps this waiting until its channel is closed at both ends
   */
  revoke(): Promise<void> {
    this.#grants.revoke(this.#entry);
    return this.#entry.released;
  }
}

/** What one end of a channel grants to the other. */
export class Grants {
  readonly #port: Port;
  readonly #entries = new Map<number, Entry>();
  readonly #references = new Map<string, Entry>();
  readonly #counts: Counts;
  #nextId = 1;
  /** Those that were not revoked yet. */
  #live = 0;

  constructor(port: Port) {
    this.#port = port;
    this.#counts = counts.get(port.link) ?? { grants: 0, maps: 0 };
    counts.set(port.link, this.#counts);
  }

  /** Whether the peer can map something. */
  get isInUse(): boolean {
    return this.#live > 0;
  }

  /** @throws ERR_SHMLOOP_GRANT, ERR_SHMLOOP_CLOSED, ERR_SHMLOOP_INVALID_ARGUMENT */
  grant(region: SharedRegion, options: GrantOptions): Grant {
    const { sharing } = checkRegion(region);
    const { access = accessOf(sharing) } = options;
    if (access !== 'read' && access !== 'write') throw invalid`access is 'read' or 'write', not ${access}`;
    if (access !== accessOf(sharing)) {
      throw refused(`a region that is ${describe(region)} cannot be granted for '${access}'`);
    }
    const { offset, length } = checkRange(region, options);
    return new Grant(this, this.#add(region, sharing, offset, length, randomHex(BYTES_OF_REFERENCE)));
  }

  /** Grants all of a region for messages, and passes it at once. */
  pass(region: SharedRegion): Entry {
    const { sharing } = checkRegion(region);
    const entry = this.#add(region, sharing, 0, region.length, undefined);
    entry.maps = 1;
    this.#counts.maps++;
    this.#tell(entry, 'pass', entry.id);
    return entry;
  }

  /** A message in the region was released. */
  settled(entry: Entry): void {
    entry.messages--;
    if (entry.messages === 0 && entry.isRevoked) this.#port.tell({ kind: 'revoked', ring: entry.id });
  }

  list(): GrantInfo[] {
    return [...this.#entries.values()].map((entry) => ({
      reference: entry.reference,
      access: accessOf(entry.sharing),
      immutable: entry.sharing === 'immutable',
      offset: entry.offset,
      length: entry.length,
      peer: this.#port.link.peer,
      since: entry.since,
      maps: entry.maps,
      revoked: entry.isRevoked,
    }));
  }

  revoke(entry: Entry): void {
    if (entry.isRevoked) return;
    entry.isRevoked = true;
    this.#live--;
    insideOf(entry.region).closing.delete(entry.onClosed);
    if (entry.reference !== undefined) this.#references.delete(entry.reference);
    if (entry.maps === 0) this.#forget(entry);
    // Messages in it may still be on their way: then the peer hears when the last of them is released.
    else if (entry.messages === 0) this.#port.tell({ kind: 'revoked', ring: entry.id });
  }

  /** The peer asks for a grant: it gets the memory, or the reason why not. */
  asked({ message, descriptor }: GrantMessage): void {
    descriptor?.close();
    const token = message.ring;
    const entry = this.#references.get(message.text);
    if (entry === undefined) return this.#port.tell({ kind: 'mapped', ring: token, reason: 'refused' });
    if (this.#counts.maps >= MAX_MAPS) return this.#port.tell({ kind: 'mapped', ring: token, reason: 'resources' });
    entry.maps++;
    this.#counts.maps++;
    this.#tell(entry, 'mapped', token);
  }

  /** The peer let go of a mapping. @throws ERR_SHMLOOP_PROTOCOL when it had none */
  unmapped({ message, descriptor }: GrantMessage): void {
    descriptor?.close();
    const entry = this.#entries.get(message.ring);
    if (entry === undefined || entry.maps === 0) throw broken('back a grant that it has not mapped');
    entry.maps--;
    this.#counts.maps--;
    if (entry.isRevoked && entry.maps === 0) this.#forget(entry);
  }

  /** The channel is over at this end: nothing more can be mapped. */
  close(): void {
    for (const entry of [...this.#entries.values()]) this.revoke(entry);
  }

  /** It is over at both ends, or the peer is dead: nobody has anything mapped. */
  freed(): void {
    for (const entry of [...this.#entries.values()]) {
      this.#counts.maps -= entry.maps;
      entry.maps = 0;
      this.revoke(entry);
      this.#forget(entry);
    }
  }

  #add(region: SharedRegion, sharing: Sharing, offset: number, length: number, reference: string | undefined): Entry {
    if (this.#counts.grants >= MAX_GRANTS) throw refused(`the peer has ${MAX_GRANTS} grants already`);
    let resolve = (): void => undefined;
    const released = new Promise<void>((settle) => {
      resolve = settle;
    });
    const onClosed = () => this.revoke(entry);
    const entry: Entry = {
      id: this.#nextId++,
      reference,
      region,
      sharing,
      offset,
      length,
      since: new Date(),
      onClosed,
      released,
      resolve,
      maps: 0,
      messages: 0,
      isRevoked: false,
    };
    this.#entries.set(entry.id, entry);
    if (reference !== undefined) this.#references.set(reference, entry);
    insideOf(region).closing.add(onClosed);
    this.#counts.grants++;
    this.#live++;
    table.add(this);
    return entry;
  }

  #forget(entry: Entry): void {
    if (!this.#entries.delete(entry.id)) return;
    this.#counts.grants--;
    if (this.#entries.size === 0) table.delete(this);
    entry.resolve();
  }

  #tell(entry: Entry, kind: 'mapped' | 'pass', ring: number): void {
    const { id, region, offset, length, sharing } = entry;
    const text = passedText({ id, size: region.length, offset, length, sharing });
    insideOf(region).pass((descriptor, done) => this.#port.tell({ kind, ring, text }, descriptor, done));
  }
}

/** @throws ERR_SHMLOOP_INVALID_ARGUMENT, ERR_SHMLOOP_CLOSED */
function checkRegion(region: SharedRegion) {
  if (!(region instanceof SharedRegion)) throw invalid('a region is what createRegion makes');
  if (region.closed) throw new ShmloopError('ERR_SHMLOOP_CLOSED', 'the region is closed');
  return insideOf(region);
}

/** @throws ERR_SHMLOOP_INVALID_ARGUMENT unless it is within the region, and not empty */
export function checkRange(region: { readonly length: number }, range: { offset?: number; length?: number }) {
  const { offset = 0 } = range;
  const { length = Number.isInteger(offset) ? region.length - offset : 0 } = range;
  const isRange = Number.isInteger(offset) && Number.isInteger(length) && offset >= 0 && length >= 1;
  if (!isRange || length > region.length - offset) {
    throw invalid`of ${region.length} bytes, there are no ${length} from ${offset} on`;
  }
  return { offset, length };
}

function accessOf(sharing: Sharing): 'read' | 'write' {
  return sharing === 'write' ? 'write' : 'read';
}

function describe(region: SharedRegion): string {
  return region.immutable ? 'immutable' : `writable by ${region.writable === 'owner' ? 'its owner' : 'peers'}`;
}

function refused(why: string): ShmloopError {
  return new ShmloopError('ERR_SHMLOOP_GRANT', why);
}
