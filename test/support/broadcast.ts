import { BroadcastMemory, broadcastFileLength, SEALS } from '../../src/broadcast/broadcast-memory.js';
import { BroadcastReader } from '../../src/broadcast/reader.js';
import { BroadcastWriter } from '../../src/broadcast/writer.js';
import { PAGE } from '../../src/layout.js';
import { Region, SHARING_SEALS } from '../../src/memory/index.js';

export interface Broadcast {
  writer: BroadcastWriter;
  /** The writer's own mapping, for hostile ones. */
  memory: BroadcastMemory;
  /** A reader that joins now, with a mapping of its own. */
  join(): BroadcastReader;
}

/** A broadcast region whose ends map the memory for themselves, as processes do. @param start its first position */
export function makeBroadcast(capacity: number = PAGE, start = 0): Broadcast {
  const length = broadcastFileLength(capacity);
  const { region, descriptor } = Region.create(length, 'plain', SEALS);
  const theirs = new BroadcastMemory(Region.adopt(descriptor, length, 'private', SHARING_SEALS.read));
  const memory = new BroadcastMemory(region);
  const writer = new BroadcastWriter(memory, start);
  return { writer, memory, join: () => new BroadcastReader(theirs, writer.newest, writer.newestSequence) };
}

/** All that there is to read. */
export function readAll(reader: BroadcastReader): Buffer[] {
  const messages: Buffer[] = [];
  for (let message = reader.next(); message !== undefined; message = reader.next()) messages.push(message);
  return messages;
}
