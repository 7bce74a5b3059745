// Imports in src/ may point only down this list, or stay in their layer. Below it is the ground;
// index.ts and whatever else stands beside the folders is the roof.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const GROUND = ['copy', 'errors', 'fs', 'layout', 'listened-emitter', 'native', 'random', 'settler', 'words'];
const LEVELS = [
  ['memory'],
  ['ring', 'event'],
  ['link'],
  ['channel'],
  ['directory'],
  ['socket'],
  ['broadcast'],
  ['net'],
  ['cli'],
];
const SPECIFIER = /^(?:import|export)\b[^;'"]*?['"](\.[^'"]+)['"]|\bimport\(\s*['"](\.[^'"]+)['"]/gms;

function layerOf(file) {
  if (file.includes('/')) return file.split('/')[0];
  return GROUND.includes(file.replace(/\.[jt]s$/, '')) ? 'ground' : 'roof';
}

function levelOf(layer) {
  if (layer === 'ground') return -1;
  if (layer === 'roof') return LEVELS.length;
  const level = LEVELS.findIndex((layers) => layers.includes(layer));
  if (level === -1) throw new Error(`src/${layer}/ has no level in scripts/check-layers.mjs`);
  return level;
}

const faults = [];
for (const file of readdirSync('src', { recursive: true }).filter((name) => name.endsWith('.ts'))) {
  const from = layerOf(file);
  for (const [, static_, dynamic] of readFileSync(join('src', file), 'utf8').matchAll(SPECIFIER)) {
    const target = normalize(join(dirname(file), static_ ?? dynamic));
    const to = layerOf(target);
    if (target.startsWith('..')) faults.push(`src/${file} imports ${target}, outside of src/`);
    else if (from !== to && levelOf(to) >= levelOf(from))
      faults.push(`src/${file} (${from}) imports ${target} (${to})`);
  }
}

for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exit(1);
console.log('imports point down the layers');
