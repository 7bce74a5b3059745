/**
 * What is used of `node:fs`, without that module's ESM façade, which loads its streams and promises as well: 10 ms of
 * a preloaded program's start. And as it is now: a program may put its own functions in their place.
 */
export const {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  unlinkSync,
  watch,
} = process.getBuiltinModule('node:fs');
