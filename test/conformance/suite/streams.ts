import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { finished, pipeline } from 'node:stream/promises';
import { expect, test } from 'vitest';
import type { Rig } from '../../support/rig.js';

const MIB = 1024 * 1024;

function sized(total: number, chunk: Buffer): Readable {
  return Readable.from(
    (function* () {
      for (let left = total; left > 0; left -= chunk.length) yield chunk.subarray(0, Math.min(left, chunk.length));
    })(),
    { objectMode: false },
  );
}

/** A channel as a stream of bytes. */
export function streams(rig: Rig): void {
  const total = rig.ringSize === 4096 ? 4 * MIB : 50 * MIB;

  test(`${total / MIB} MiB go both ways at a time, unchanged`, async () => {
    const { channel, far } = await rig.open(
      async (channel, { createHash, once, pipeline, Readable, args }) => {
        const stream = channel.stream();
        const hash = createHash('sha256');
        const chunk = Buffer.alloc(100_000, 'far');
        const source = function* () {
          for (let left = args; left > 0; left -= chunk.length) yield chunk.subarray(0, Math.min(left, chunk.length));
        };
        stream.on('data', (part) => hash.update(part));
        await Promise.all([pipeline(Readable.from(source()), stream), once(stream, 'end')]);
        return hash.digest('hex');
      },
      { args: total, near: { allowHalfOpen: true }, far: { allowHalfOpen: true } },
    );
    const stream = channel.stream();
    const [own, theirs] = [createHash('sha256'), createHash('sha256')];
    const source = sized(total, randomBytes(70_001));
    source.on('data', (part) => own.update(part));
    let received = 0;
    const sink = new Writable({
      write(part, _encoding, done) {
        received += part.length;
        theirs.update(part);
        done();
      },
    });
    await Promise.all([pipeline(source, stream), pipeline(stream, sink)]);
    expect(await far.result).toBe(own.digest('hex'));
    expect(received).toBe(total);
    const expected = createHash('sha256');
    for (const part of await sized(total, Buffer.alloc(100_000, 'far')).toArray()) expected.update(part);
    expect(theirs.digest('hex')).toBe(expected.digest('hex'));
  });

  test('a slow reader gets everything, although the channel ended long before', async () => {
    const { channel, far } = await rig.open(
      async (channel, { args }) => {
        for (let i = 0; i < args; i++) {
          if (!channel.send(Buffer.alloc(1000, i))) await channel.drained();
        }
        await channel.end();
      },
      { args: 300 },
    );
    const stream = channel.stream();
    let received = 0;
    for await (const part of stream) {
      received += part.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(received).toBe(300_000);
    await far.result;
  });

  test('an end of reading ends writing, after all that was written', async () => {
    const { channel, far } = await rig.open(async (channel, { finished }) => {
      const stream = channel.stream();
      stream.resume();
      for (let i = 0; i < 100; i++) stream.write(Buffer.alloc(10_000, 'x'));
      await finished(stream);
    });
    const stream = channel.stream();
    stream.end('nothing more');
    expect((await text(stream)).length).toBe(1_000_000);
    await far.result;
  });

  test('a half-open stream goes on writing', async () => {
    const { channel, far } = await rig.open(
      async (channel, { once }) => {
        const stream = channel.stream();
        stream.resume();
        await once(stream, 'end');
        stream.end('and then this');
      },
      { far: { allowHalfOpen: true } },
    );
    const stream = channel.stream();
    stream.end('first');
    expect(await text(stream)).toBe('and then this');
    await far.result;
  });

  test('a reader that stops holds up the writer, with bounded memory', async () => {
    const { channel, far } = await rig.open(async (channel, { told, finished }) => {
      const stream = channel.stream();
      await told();
      let received = 0;
      stream.on('data', (part) => (received += part.length));
      await finished(stream);
      return received;
    });
    const stream = channel.stream();
    let written = 0;
    while (stream.write(Buffer.alloc(1000))) written++;
    // A bounded number of times more, each when it says so.
    const limit = 3 * rig.ringSize + MIB;
    for (;;) {
      const waited = await Promise.race([
        once(stream, 'drain'),
        new Promise((resolve) => setTimeout(resolve, 20, 'held up')),
      ]);
      if (waited === 'held up') break;
      while (stream.write(Buffer.alloc(1000))) written++;
      expect(written * 1000).toBeLessThan(limit);
    }
    far.tell();
    stream.end();
    await finished(stream.resume());
    expect(await far.result).toBeGreaterThanOrEqual(written * 1000);
  });

  test('destroy cuts the other end off', async () => {
    const { channel, far } = await rig.open(async (channel, { finished, describe }) => {
      const stream = channel.stream();
      stream.resume();
      const error = await finished(stream).catch(describe);
      return error;
    });
    const stream = channel.stream();
    stream.write('x');
    stream.destroy();
    if (!stream.closed) await once(stream, 'close');
    expect(await far.result).toMatchObject({ code: 'ECONNRESET' });
    expect(channel.closed).toBe(true);
  });

  test('closing the channel ends its stream', async () => {
    const { channel } = await rig.open(async (channel, { closed }) => {
      await closed(channel);
    });
    const stream = channel.stream();
    const over = finished(stream);
    await channel.close();
    await expect(over).rejects.toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
    expect(stream.destroyed).toBe(true);
  });

  test('a channel has one stream', async () => {
    const { channel } = await rig.open(() => undefined);
    expect(channel.stream()).toBe(channel.stream());
    channel.stream().destroy();
  });
}
