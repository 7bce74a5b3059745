import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** An authority, and what it has signed for a server on this host and for a client: files in the directory. */
function makeCertificates(directory: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  openssl('req', '-x509', ...KEY, '-days', '2', '-subj', '/CN=authority', '-keyout', 'ca.key', '-out', 'ca.pem');
  const sign = (name: string, subject: string, names: string) => {
    openssl('req', ...KEY, '-subj', `/CN=${subject}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    writeFileSync(join(directory, `${name}.ext`), `subjectAltName=${names}\nextendedKeyUsage=${name}Auth\n`);
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`];
    openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.pem`);
  };
  sign('server', 'server', 'DNS:localhost,IP:127.0.0.1');
  sign('client', 'somebody', 'DNS:somebody');
}

/** Certificates for the tests of a file. @returns what tells programs where they are */
export function useCertificates(): { CERTIFICATES: string } {
  const env = { CERTIFICATES: '' };
  beforeAll(() => {
    env.CERTIFICATES = mkdtempSync(join(tmpdir(), 'shmloop-certificates-'));
    makeCertificates(env.CERTIFICATES);
  });
  afterAll(() => rmSync(env.CERTIFICATES, { recursive: true }));
  return env;
}
