import { describe, expect, test } from 'vitest';
import type { Channel, WaitingMode } from '../../src/index.js';
import type { Tools } from '../support/agent.js';
import { type Agents, useAgents } from '../support/agents.js';
import type { Place } from '../support/rig.js';

const PAIRS: readonly [Place, Place][] = [
  ['between two threads', 'between two threads'],
  ['between two threads', 'between two processes'],
];
const MODES: readonly WaitingMode[] = ['park', 'adaptive'];

for (const waiting of MODES) {
  for (const pair of PAIRS) {
    const [one, other] = pair.map((place) => place.replace('between two ', '').replace(/e?s$/, ''));
    describe(`a ${one} and a ${other}, ${waiting}`, () => blocking(useAgents(pair, waiting)));
  }
}

function collectSync(channel: Channel, { args }: Tools): string[] {
  const all: string[] = [];
  for (;;) {
    const message = channel.receiveSync(args as number | undefined);
    if (message === null) return all;
    all.push(message.toString());
  }
}

/** Both ends block their threads. */
function blocking(agents: Agents): void {
  test('messages go to and fro while both threads do nothing but wait', async () => {
    const [far, near] = await agents.join(
      (channel) => {
        for (;;) {
          const message = channel.receiveSync();
          if (message === null) return 'ended';
          channel.sendSync(message);
        }
      },
      async (channel) => {
        let sum = 0;
        for (let i = 0; i < 3000; i++) {
          channel.sendSync(`${i}`);
          sum += Number(channel.receiveSync());
        }
        await channel.end();
        return sum;
      },
    );
    expect(await near.result).toBe((2999 * 3000) / 2);
    expect(await far.result).toBe('ended');
  });

  test('messages larger than the ring go through in pieces, in order with small ones', async () => {
    const sizes = [0, 10_000_000, 1, 4096, 5, 100_000];
    const [far, near] = await agents.join(
      (channel, { hash }) => {
        const all: [number, string][] = [];
        for (let message = channel.receiveSync(); message !== null; message = channel.receiveSync()) {
          all.push([message.length, hash(message)]);
        }
        return all;
      },
      async (channel, { args, hash }) => {
        const all = args.map((size, i) => new Uint8Array(size).fill(i + 1));
        for (const message of all) channel.sendSync(message);
        await channel.end();
        return all.map((message): [number, string] => [message.length, hash(message)]);
      },
      { args: sizes, options: { ringSize: 4096 } },
    );
    expect(await far.result).toEqual(await near.result);
  });

  test('a sender that never waits is held up by the ring, and loses nothing', async () => {
    const [far, near] = await agents.join(
      (channel, { args }) => {
        for (let i = 0; i < args; i++) {
          if (channel.receiveSync()?.toString() !== `${i}`) return i;
        }
        return 'all';
      },
      async (channel, { args }) => {
        for (let i = 0; i < args; i++) channel.sendSync(`${i}`);
        await channel.end();
      },
      { args: 20_000, options: { ringSize: 4096 } },
    );
    expect(await far.result).toBe('all');
    await near.result;
  });

  test('at the end there is null, again and again', async () => {
    const [far] = await agents.join(
      (channel) => [channel.receiveSync()?.toString(), channel.receiveSync(), channel.receiveSync(0)],
      async (channel) => {
        channel.send('last');
        await channel.end();
      },
    );
    expect(await far.result).toEqual(['last', null, null]);
  });

  test('a time-out of receiving is an error, and a later message comes', async () => {
    const [far, near] = await agents.join(
      (channel, { describe, say }) => {
        const errors: unknown[] = [];
        for (const timeout of [0, 1, 45]) {
          try {
            channel.receiveSync(timeout);
          } catch (error) {
            errors.push(describe(error).code);
          }
        }
        say();
        return [...errors, channel.receiveSync()?.toString()];
      },
      async (channel, { told }) => {
        await told();
        channel.sendSync('now');
      },
    );
    await far.said();
    near.tell();
    const code = 'ERR_SHMLOOP_TIMEOUT';
    expect(await far.result).toEqual([code, code, code, 'now']);
  });

  test('a time-out of sending means that nothing of it was sent', async () => {
    const [far, near] = await agents.join(
      async (channel, { told }) => {
        await told();
        const all: string[] = [];
        for await (const message of channel) all.push(message.toString());
        return all;
      },
      async (channel, { describe, say }) => {
        let sent = 0;
        let code: string | undefined;
        while (code === undefined) {
          try {
            channel.sendSync(`${sent}`.padEnd(500), 30);
            sent++;
          } catch (error) {
            code = describe(error).code;
          }
        }
        say();
        channel.sendSync('after it');
        await channel.end();
        return { sent, code };
      },
      { options: { ringSize: 4096 } },
    );
    await near.said();
    far.tell();
    expect(await near.result).toEqual({ sent: 8, code: 'ERR_SHMLOOP_TIMEOUT' });
    expect((await far.result).map((message) => message.trim())).toEqual([...'01234567', 'after it']);
  });

  test('a time-out within a large message closes the channel', async () => {
    const [far, near] = await agents.join(
      async (channel, { told, describe, closed }) => {
        await told();
        channel.on('message', () => undefined);
        return describe(await closed(channel)).code;
      },
      async (channel, { describe }) => {
        try {
          channel.sendSync(new Uint8Array(100_000), 30);
          return undefined;
        } catch (error) {
          return [describe(error).code, channel.closed];
        }
      },
      { options: { ringSize: 4096 } },
    );
    expect(await near.result).toEqual(['ERR_SHMLOOP_TIMEOUT', true]);
    far.tell();
    expect(await far.result).toBe('ECONNRESET');
  });

  test('who blocks in receiving hears of the other end’s close, after what was published', async () => {
    const [far, near] = await agents.join(
      (channel, { describe, say }) => {
        say();
        const all: unknown[] = [channel.receiveSync()?.toString(), channel.receiveSync()?.toString()];
        for (let i = 0; i < 2; i++) {
          try {
            all.push(channel.receiveSync());
          } catch (error) {
            all.push(describe(error).code);
          }
        }
        return all;
      },
      async (channel, { told }) => {
        await told();
        channel.send('1');
        channel.send('2');
        await channel.close();
      },
    );
    await far.said();
    near.tell();
    expect(await far.result).toEqual(['1', '2', 'ECONNRESET', 'ECONNRESET']);
  });

  test('who blocks in sending hears of the other end’s close', async () => {
    const [far, near] = await agents.join(
      async (channel, { told }) => {
        await told();
        await channel.close();
      },
      (channel, { describe, say }) => {
        for (let i = 0; i < 8; i++) channel.sendSync(new Uint8Array(500));
        say();
        const codes: unknown[] = [];
        for (let i = 0; i < 2; i++) {
          try {
            channel.sendSync(new Uint8Array(500));
            codes.push('sent');
          } catch (error) {
            codes.push(describe(error).code);
          }
        }
        return codes;
      },
      { options: { ringSize: 4096 } },
    );
    await near.said();
    far.tell();
    expect(await near.result).toEqual(['EPIPE', 'EPIPE']);
  });

  test('a blocking receiver takes what an event-driven sender sends, and the other way round', async () => {
    const [far, near] = await agents.join(
      async (channel) => {
        for (let i = 0; i < 500; i++) channel.sendSync(`${Number(channel.receiveSync()) * 2}`);
        await channel.end();
      },
      async (channel) => {
        const received: number[] = [];
        channel.on('message', (message) => {
          received.push(Number(message));
          if (received.length < 500) channel.send(`${received.length}`);
        });
        channel.send('0');
        await new Promise<void>((resolve) => channel.once('end', resolve));
        return received;
      },
    );
    await far.result;
    expect(await near.result).toEqual(Array.from({ length: 500 }, (_, i) => 2 * i));
  });

  test('after a blocking call the event loop hears of everything again', async () => {
    const [far, near] = await agents.join(
      async (channel, { describe, told, say, delay }) => {
        channel.handle((request) => `handled ${request}`);
        await delay(20); // it is asleep by now, to be woken by its doorbell
        let code: string | undefined;
        try {
          channel.receiveSync(30);
        } catch (error) {
          code = describe(error).code;
        }
        say(code);
        await told();
      },
      async (channel, { told }) => {
        await told();
        return (await channel.request('x')).toString();
      },
    );
    expect(await far.said()).toBe('ERR_SHMLOOP_TIMEOUT');
    near.tell();
    expect(await near.result).toBe('handled x');
    far.tell();
  });

  test('requests that cannot run meanwhile do not keep a receiver beyond its time', async () => {
    const [far, near] = await agents.join(
      async (channel, { told, describe }) => {
        channel.handle(() => undefined);
        await told();
        try {
          return channel.receiveSync(50)?.toString();
        } catch (error) {
          return describe(error).code;
        }
      },
      async (channel, { say, closed }) => {
        for (let i = 0; i < 3000; i++) channel.request('x').catch(() => undefined);
        channel.send('behind them');
        say();
        await closed(channel);
      },
    );
    await near.said();
    far.tell();
    expect(await far.result).toMatch(/ERR_SHMLOOP_TIMEOUT|behind them/);
  });

  test('messages that were set aside before come first', async () => {
    const [far] = await agents.join(
      async (channel) => {
        const iterator = channel[Symbol.asyncIterator]();
        const first = (await iterator.next()).value.toString();
        await iterator.return?.();
        const rest: string[] = [];
        for (let message = channel.receiveSync(); message !== null; message = channel.receiveSync()) {
          rest.push(message.toString());
        }
        return [first, ...rest];
      },
      async (channel) => {
        for (let i = 0; i < 1000; i++) channel.send(`${i}`);
        await channel.end();
      },
    );
    expect(await far.result).toEqual(Array.from({ length: 1000 }, (_, i) => `${i}`));
  });

  test('many small messages in one go end with the channel', async () => {
    const [far] = await agents.join(collectSync, async (channel) => {
      for (let i = 0; i < 5000; i++) channel.send(`${i}`);
      await channel.end();
    });
    expect(await far.result).toHaveLength(5000);
  });
}
