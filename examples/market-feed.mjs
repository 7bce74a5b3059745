// A feed of quotes: one process publishes, others subscribe; one of them is too slow, and knows what it missed.
// node examples/market-feed.mjs
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { publish, subscribe } from 'shmloop';

const SYMBOLS = ['AAA', 'BBB', 'CCC', 'DDD'];
const QUOTES = 50_000;
/** Quotes of a millisecond. */
const BURST = 100;
/** Bytes of a quote: number, index of the symbol, bid and ask in cents. */
const LENGTH = 16;

const [script, role, name = `example-${process.pid}`] = process.argv.slice(1);
if (role === 'reader') await read(0);
else if (role === 'slow reader') await read(50);
else await feed();

async function feed() {
  // The newest quotes matter: nobody may hold up the feed, and who is too slow loses the oldest ones.
  const publisher = await publish(name, { policy: 'drop-oldest', capacity: 256 * 1024 });
  const readers = ['reader', 'reader', 'slow reader'].map((kind) => fork(script, [kind, name]));
  const ends = readers.map((reader) => once(reader, 'exit'));
  while (publisher.subscribers < readers.length) await once(publisher, 'join');

  const quote = Buffer.alloc(LENGTH);
  for (let number = 0; number < QUOTES; number++) {
    const bid = 10_000 + Math.round(1000 * Math.sin(number / 1000));
    quote.writeUInt32LE(number, 0);
    quote.writeUInt32LE(number % SYMBOLS.length, 4);
    quote.writeUInt32LE(bid, 8);
    quote.writeUInt32LE(bid + 5, 12);
    // True at once with drop-oldest: it was copied, and the buffer serves again.
    publisher.send(quote);
    if (number % BURST === 0) await delay(1);
  }
  await publisher.close();
  for (const [code] of await Promise.all(ends)) if (code !== 0) process.exitCode = 1;
}

/** Takes quotes one by one. @param pause milliseconds that it is busy with every thousandth */
async function read(pause) {
  const subscription = await subscribe(name);
  const last = new Map();
  let taken = 0;
  let number = -1;
  for await (const quote of subscription) {
    number = quote.readUInt32LE(0);
    const bid = quote.readUInt32LE(8) / 100;
    const ask = quote.readUInt32LE(12) / 100;
    last.set(SYMBOLS[quote.readUInt32LE(4)], { bid, ask });
    if (++taken % 1000 === 0) await delay(pause);
  }
  const prices = [...last].map(([symbol, { bid, ask }]) => `${symbol} ${bid}/${ask}`).join(', ');
  console.log(`${role} ${process.pid}: ${taken} quotes, ${subscription.lost} lost; ${prices}`);
  if (taken + subscription.lost !== QUOTES || number !== QUOTES - 1) process.exitCode = 1;
}
