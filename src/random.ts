/** Random numbers and digests. Node's crypto takes 10 ms to load: only a program that talks to another one does. */

/** So many random bytes, in hexadecimal digits. */
export function randomHex(bytes: number): string {
  return crypto().randomBytes(bytes).toString('hex');
}

/** The SHA-256 digest of a text. */
export function sha256(text: string): Buffer {
  return crypto().createHash('sha256').update(text).digest();
}

function crypto() {
  return process.getBuiltinModule('node:crypto');
}
