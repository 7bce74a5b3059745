// Brings Node's own tests onto this machine, from Debian's source package: the tar of the original alone.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const SOURCES = `Types: deb-src
URIs: http://deb.debian.org/debian
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`;

/** @returns the directory that has Node's `test` */
export function fetchNodeTests(cache) {
  const target = resolve(cache, 'node-tests');
  if (existsSync(join(target, 'test/parallel'))) return target;
  const work = resolve(cache, 'node-tests-new');
  rmSync(work, { recursive: true, force: true });
  for (const folder of ['parts', 'lists/partial', 'archives', 'tree'])
    mkdirSync(join(work, folder), { recursive: true });
  writeFileSync(join(work, 'parts/debian.sources'), SOURCES);
  const apt = (...args) => execFileSync('apt-get', [...aptOptions(work), ...args], { cwd: work, stdio: 'pipe' });
  apt('update');
  apt('source', '--download-only', '--tar-only', 'nodejs');
  const tar = readdirSync(work).find((name) => /^nodejs_20\..*\.orig\.tar\.xz$/.test(name));
  if (tar === undefined) throw new Error(`Debian's nodejs is not Node 20: ${readdirSync(work)}`);
  execFileSync('tar', [
    '-C',
    join(work, 'tree'),
    '--strip-components=1',
    '-xJf',
    join(work, tar),
    '--wildcards',
    '*/test/*',
  ]);
  // They are CommonJS, whatever this project is.
  writeFileSync(join(work, 'tree/package.json'), '{}\n');
  rmSync(target, { recursive: true, force: true });
  renameSync(join(work, 'tree'), target);
  rmSync(work, { recursive: true });
  return target;
}

/** Nothing of the machine's own lists is touched, so this needs no root. */
function aptOptions(work) {
  const settings = {
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': join(work, 'parts'),
    'Dir::State::lists': join(work, 'lists'),
    'Dir::Cache': work,
    'APT::Sandbox::User': '',
  };
  return ['-q', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
}
