// Builds the addon where it is of use. Elsewhere `shmloop` installs and loads, and says at
// the first call that it needs Linux.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join, resolve } from 'node:path';

if (process.platform !== 'linux') {
  console.log(`shmloop: no addon on ${process.platform}, shared memory is for Linux`);
  process.exit(0);
}

const tools = {
  'g++': [process.env.CXX?.split(' ')[0], 'g++', 'c++', 'clang++'],
  make: [process.env.MAKE, 'make'],
  python3: [process.env.npm_config_python, process.env.PYTHON, 'python3', 'python'],
};
const missing = Object.keys(tools).filter((tool) => !tools[tool].some(isCommand));

if (missing.length > 0) {
  const advice = 'Debian, Ubuntu: apt-get install g++ make python3';
  console.error(`shmloop: cannot build its addon: no ${missing.join(', no ')} here (${advice})`);
  process.exit(1);
}

const env = { ...process.env };
const prefix = dirname(dirname(process.execPath));
// Headers that came with Node save node-gyp a download.
if (env.npm_config_nodedir === undefined && existsSync(join(prefix, 'include/node/node.h'))) {
  env.npm_config_nodedir = prefix;
}
env.npm_config_jobs ??= 'max';
const builder = createRequire(import.meta.url).resolve('node-gyp-build/bin.js');
const { status } = spawnSync(process.execPath, [builder], { env, stdio: 'inherit' });
process.exit(status ?? 1);

function isCommand(name) {
  if (!name) return false;
  const folders = name.includes('/') ? [''] : process.env.PATH.split(delimiter);
  return folders.some((folder) => {
    try {
      accessSync(resolve(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
