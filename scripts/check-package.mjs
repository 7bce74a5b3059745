// Checks the tarball that would be published: its content, its exports and types, and that an
// empty project can install it and run the README's first example.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ALLOWED = [
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|binding\.gyp|scripts\/install\.mjs)$/,
  /^dist\/[\w/-]+(\.js|\.d\.ts)$/,
  /^native\/\w+\.(cc|h|c)$/,
  /^docs\/[\w/-]+\.(md|svg)$/,
];
const REQUIRED = ['README.md', 'LICENSE', 'CHANGELOG.md', 'binding.gyp', 'scripts/install.mjs', 'native/addon.cc'];
const EXAMPLE_SECONDS = 30;

const folder = mkdtempSync(join(tmpdir(), 'shmloop-package-'));
let failures = 0;
try {
  const [{ filename, files }] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder]));
  const tarball = join(folder, filename);
  const bin = (name) => join('node_modules/.bin', name);
  await check('content', () => checkContent(files.map((file) => file.path)));
  await check('publint', () => run(bin('publint'), [tarball, '--strict']));
  await check('types', () => run(bin('attw'), [tarball, '--profile', 'esm-only']));
  const project = join(folder, 'project');
  await check('installs', () => install(project, tarball));
  await check('README example', () => runExample(project));
} finally {
  rmSync(folder, { recursive: true });
}
if (failures > 0) process.exit(1);

async function check(name, action) {
  try {
    await action();
    console.log(`${name}: ok`);
  } catch (error) {
    failures++;
    console.error(`${name}: failed\n${error.message}`);
  }
}

function checkContent(paths) {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
  const targets = Object.values(exports).flatMap((target) =>
    typeof target === 'string' ? target : Object.values(target),
  );
  const required = [...REQUIRED, ...targets.map((target) => target.replace('./', ''))];
  const faults = [
    ...required.filter((path) => !paths.includes(path)).map((path) => `missing: ${path}`),
    ...paths.filter((path) => !ALLOWED.some((form) => form.test(path))).map((path) => `does not belong: ${path}`),
  ];
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

function install(project, tarball) {
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n');
  run('npm', ['install', '--no-package-lock', tarball], project);
  if (!existsSync(join(project, 'node_modules/shmloop/build/Release/shmloop.node')))
    throw new Error('no addon was built');
}

/**
 * The first ```js block. Where it and the next begin with a comment that names a file, the first
 * is a server, which runs until the second has ended.
 */
async function runExample(project) {
  const blocks = [...readFileSync('README.md', 'utf8').matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code);
  if (blocks.length === 0) throw new Error('README.md has no js block');
  const names = blocks.map((code) => /^\/\/ ([\w-]+\.m?js)\b/.exec(code)?.[1]);
  const isPair = names[0] !== undefined && names[1] !== undefined;
  const files = isPair ? [names[0], names[1]] : [names[0] ?? 'example.js'];
  for (const [i, name] of files.entries()) writeFileSync(join(project, name), blocks[i]);
  const server = isPair ? start(files[0], project) : undefined;
  try {
    if (server) await Promise.race([server.ended.then(() => fail(`${files[0]} ended early`, server)), delay(1)]);
    const client = start(files.at(-1), project);
    const code = await Promise.race([client.ended, delay(EXAMPLE_SECONDS).then(() => 'no end')]);
    client.child.kill('SIGKILL');
    if (code !== 0) fail(`${files.at(-1)}: ${code}`, client, server);
  } finally {
    server?.child.kill('SIGKILL');
  }
}

function start(name, cwd) {
  // A server that is killed leaves its name, which goes with the project.
  const env = { ...process.env, XDG_RUNTIME_DIR: cwd };
  const child = spawn(process.execPath, [name], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const started = { child, output: '' };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (started.output += text));
  started.ended = new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ?? code)));
  return started;
}

function fail(reason, ...processes) {
  throw new Error([reason, ...processes.map((started) => started?.output ?? '')].join('\n'));
}

function delay(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000).unref());
}

function run(file, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(file, args, { cwd, encoding: 'utf8' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${[file, ...args].join(' ')}: ${status}\n${stdout}${stderr}`);
  return stdout;
}
