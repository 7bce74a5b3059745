import { expect, test } from 'vitest';
import type { Channel } from '../../../src/index.js';
import { closed, type Tools } from '../../support/agent.js';
import type { Rig } from '../../support/rig.js';
import { pattern } from '../../support/ring.js';

async function collect(channel: Channel, { told, args }: Tools): Promise<string[]> {
  if (args === 'wait') await told();
  const all: string[] = [];
  for await (const message of channel) all.push(message.toString());
  return all;
}

/** Zero-copy sending. */
export function reserving(rig: Rig): void {
  test('what is filled in place arrives as a message, and may be shorter than what was reserved', async () => {
    const { channel, far } = await rig.open(collect);
    channel.reserve(5)?.write('whole');
    channel.commit();
    channel.send('between');
    channel.reserve(100)?.write('part of it');
    channel.commit(4);
    channel.reserve(0);
    channel.commit();
    await channel.end();
    expect(await far.result).toEqual(['whole', 'between', 'part', '']);
  });

  test('the largest reservation is what goes as one frame', async () => {
    const { channel, far } = await rig.open(async (channel, { hash }) => {
      const { value } = await channel[Symbol.asyncIterator]().next();
      return hash(value);
    });
    const { maxReservation } = channel;
    expect(maxReservation).toBe(rig.ringSize / 4 - 8);
    expect(() => channel.reserve(maxReservation + 1)).toThrow(
      expect.objectContaining({ code: 'ERR_SHMLOOP_MESSAGE_SIZE' }),
    );
    const data = pattern(maxReservation, 3);
    channel.reserve(maxReservation)?.set(data);
    channel.commit();
    const { createHash } = await import('node:crypto');
    expect(await far.result).toBe(createHash('sha256').update(data).digest('hex'));
  });

  test('without room there is no reservation, and drained() waits for it', async () => {
    const { channel, far } = await rig.open(collect, { args: 'wait' });
    const { maxReservation } = channel;
    let sent = 0;
    for (let slot = channel.reserve(maxReservation); slot !== null; slot = channel.reserve(maxReservation)) {
      slot.fill(0x61);
      channel.commit();
      sent++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sent).toBe(4);
    // Long enough for this domain to go to sleep over it.
    await new Promise((resolve) => setTimeout(resolve, 20));
    const drained = channel.drained();
    far.tell();
    await drained;
    const slot = channel.reserve(maxReservation);
    expect(slot?.length).toBe(maxReservation);
    channel.commit();
    await channel.end();
    expect((await far.result).length).toBe(5);
  });

  test('while a reservation is open nothing else is sent, and once it is committed all goes on', async () => {
    const busy = expect.objectContaining({ code: 'ERR_SHMLOOP_BUSY' });
    const { channel, far } = await rig.open(collect);
    const slot = channel.reserve(4);
    expect(() => channel.send('x')).toThrow(busy);
    expect(() => channel.reserve(1)).toThrow(busy);
    await expect(channel.request('x')).rejects.toThrow(busy);
    slot?.write('slot');
    channel.commit();
    expect(() => channel.commit()).toThrow(busy);
    channel.send('x');
    await channel.end();
    expect(await far.result).toEqual(['slot', 'x']);
  });

  test('a reply that comes up meanwhile waits for the commit', async () => {
    const { channel, far } = await rig.open(async (channel, { once, say }) => {
      const message = once(channel, 'message');
      const reply = channel.request('question');
      say((await reply).toString());
      return (await message)[0].toString();
    });
    const handled = new Promise<void>((resolve) => {
      channel.handle(() => {
        setImmediate(resolve);
        return 'answer';
      });
    });
    const slot = channel.reserve(4);
    await handled;
    // Long enough for this domain to go to sleep over it.
    await new Promise((resolve) => setTimeout(resolve, 20));
    slot?.write('slot');
    channel.commit();
    expect(await far.said()).toBe('answer');
    expect(await far.result).toBe('slot');
  });

  test('an end that comes up meanwhile waits for the commit', async () => {
    const { channel, far } = await rig.open(collect);
    const slot = channel.reserve(4);
    const end = channel.end();
    slot?.write('slot');
    channel.commit();
    await end;
    expect(await far.result).toEqual(['slot']);
    await closed(channel);
  });
}
