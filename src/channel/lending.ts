import type { GrantMessage, Message, Port } from '../link/index.js';
import { broken } from './grant-messages.js';
import { Grants } from './grants.js';
import { Inbox, type InboxHooks } from './inbox.js';
import { Mappings } from './mappings.js';
import { Outbox } from './outbox.js';
import { Releases } from './releases.js';

export interface LendingHooks extends InboxHooks {
  /** Messages in regions, which were held up by the releases that waited, can be taken again. */
  releasesHaveRoom(): void;
}

/** The memory that the two ends of a channel let each other use. */
export class Lending {
  readonly grants: Grants;
  readonly mappings: Mappings;
  readonly outbox: Outbox;
  readonly inbox: Inbox;
  readonly releases: Releases;

  constructor(port: Port, maxMessageSize: number, hooks: LendingHooks) {
    this.grants = new Grants(port);
    this.mappings = new Mappings(port);
    this.outbox = new Outbox(this.grants);
    this.inbox = new Inbox(port, maxMessageSize, hooks);
    this.releases = new Releases(port, hooks.releasesHaveRoom);
    port.onFreed = () => this.#freed();
    port.grantedLate = (said) => this.#hearLate(said);
  }

  /** Whether either end uses, or can use, memory of the other's. */
  get isInUse(): boolean {
    return this.grants.isInUse || this.mappings.isInUse || this.outbox.size > 0 || this.inbox.held > 0;
  }

  /** Takes what the other end says. @throws ERR_SHMLOOP_PROTOCOL, ERR_SHMLOOP_REGION */
  hear(said: GrantMessage): void {
    const { message, descriptor } = said;
    switch (message.kind) {
      case 'map':
        return this.grants.asked(said);
      case 'mapped':
        return this.mappings.answered(said);
      case 'unmapped':
        return this.grants.unmapped(said);
      case 'revoked':
        descriptor?.close();
        if (!this.inbox.revoked(message.ring)) this.mappings.revoked(message.ring);
        return;
      case 'pass':
        return this.inbox.passed(said);
      case 'released':
        descriptor?.close();
        return this.#released(message);
      default:
        descriptor?.close();
        throw broken(`${message.kind} where it speaks of grants`);
    }
  }

  /** The other end still lets go of what it has of this one, which is over. @throws as {@link hear} */
  #hearLate(said: GrantMessage): void {
    const { kind } = said.message;
    if (kind === 'unmapped' || kind === 'released') this.hear(said);
    else said.descriptor?.close();
  }

  /** The other end let go of all that it had mapped, and grants nothing any more. */
  peerGone(reason: Error): void {
    this.#freed();
    this.mappings.close(reason);
  }

  /** The channel is over at this end. */
  close(reason: Error): void {
    this.grants.close();
    this.mappings.close(reason);
    this.releases.close();
    this.inbox.close({ release: (id) => this.releases.add(id), arrived: () => undefined });
  }

  /** Whatever is no id of a message that was sent is refused. */
  #released({ ring, text }: Message): void {
    this.outbox.released(ring);
    if (text !== '') for (const id of text.split(' ')) this.outbox.released(Number(id));
  }

  #freed(): void {
    this.outbox.freed();
    this.grants.freed();
  }
}
