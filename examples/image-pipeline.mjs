// An image pipeline of three processes: a camera, a filter, and who looks at the result. Pixels are never copied from
// process to process: each hands the next one its pages, and has them back when that has released them.
// node examples/image-pipeline.mjs
import { fork } from 'node:child_process';
import { bind, connect, RegionPool } from 'shmloop';

const WIDTH = 1280;
const HEIGHT = 720;
const IMAGES = 60;
const PIXELS = WIDTH * HEIGHT;

const [script, role, name = `example-${process.pid}`] = process.argv.slice(1);
if (role === 'camera') await film();
else if (role === 'filter') await filter();
else await look();

/** Sends colour images: a small header, which is copied, and pixels, which are not. */
async function film() {
  const channel = await connect(`${name}-filter`, { wait: true });
  const pool = new RegionPool({ size: 32 * 1024 * 1024 });
  for (let number = 0; number < IMAGES; number++) {
    // Waits while the filter is behind: the pool is what may be under way.
    const block = await pool.allocateWhenFree(PIXELS * 4);
    const pixels = new Uint32Array(block.buffer.buffer, block.buffer.byteOffset, PIXELS);
    pixels.fill(0xff00_0000 | (number * 0x01_0203));
    void channel.sendv([JSON.stringify({ number, width: WIDTH, height: HEIGHT }), block]);
  }
  await channel.end();
}

/** Makes a tensor of brightness from 0 to 1 of each image. */
async function filter() {
  const server = await bind(`${name}-filter`);
  const output = await connect(`${name}-look`, { wait: true });
  const pool = new RegionPool({ size: 32 * 1024 * 1024 });
  for await (const input of server) {
    for await (const image of input.regions()) {
      const [header, rgba] = image.buffers;
      const block = await pool.allocateWhenFree(PIXELS * 4);
      const tensor = new Float32Array(block.buffer.buffer, block.buffer.byteOffset, PIXELS);
      for (let i = 0; i < PIXELS; i++) {
        tensor[i] = (rgba[4 * i] * 0.299 + rgba[4 * i + 1] * 0.587 + rgba[4 * i + 2] * 0.114) / 255;
      }
      void output.sendv([header, block]);
      // The camera's again. TypeScript, and Node from 24 on, have `for await (using image of ...)` for this.
      image.release();
    }
    break;
  }
  await output.end();
  await server.close();
}

/** Looks at the tensors, each where the filter wrote it. */
async function look() {
  const server = await bind(`${name}-look`);
  fork(script, ['filter', name]);
  fork(script, ['camera', name]);
  let images = 0;
  let brightest = 0;
  for await (const channel of server) {
    for await (const message of channel.regions()) {
      const [header, bytes] = message.buffers;
      const { width, height } = JSON.parse(header);
      const tensor = new Float32Array(bytes.buffer, bytes.byteOffset, width * height);
      brightest = Math.max(brightest, tensor[tensor.length >> 1]);
      images++;
      message.release();
    }
    break;
  }
  await server.close();
  console.log(`${images} images, the brightest at ${brightest.toFixed(3)}`);
  if (images !== IMAGES) process.exitCode = 1;
}
