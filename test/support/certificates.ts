/** Certificates for tests, made by openssl in a directory of their own. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const DAYS = 365;

export interface CertificateOptions {
  /** Of the files: `<name>.crt`, `<name>.key`. */
  readonly name: string;
  /** The common name; `name` when not given. */
  readonly subject?: string;
  /** `DNS:localhost`, `IP:127.0.0.1`; the names that it is for. */
  readonly names?: readonly string[];
  /** `YYYYMMDDHHMMSSZ`; a year from now on when not given. */
  readonly from?: string;
  readonly until?: string;
  /** Encrypts the key. */
  readonly password?: string;
}

export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** A CA and what it has signed. */
export interface Authority {
  readonly dir: string;
  /** The CA's own certificate. */
  readonly ca: string;
  /** For 127.0.0.1 and localhost. */
  readonly server: CertificateFiles;
  /** Makes a certificate that this CA has signed. */
  issue(options: CertificateOptions): Promise<CertificateFiles>;
  remove(): Promise<void>;
}

/** OpenSSL's form of a time that is `days` from now. */
export function inDays(days: number): string {
  return `${new Date(Date.now() + days * 86_400_000).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
}

/** Makes a CA, and a certificate for this host. */
export async function makeAuthority(): Promise<Authority> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'forge-tls-'));
  const openssl = (...args: string[]) => run('openssl', args, { cwd: dir });
  const ca = path.join(dir, 'ca.crt');
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  await openssl(
    ...['req', '-x509', ...curve, '-nodes', '-keyout', 'ca.key', '-out', 'ca.crt'],
    ...['-days', String(DAYS), '-subj', '/CN=test CA'],
  );
  await writeFile(
    path.join(dir, 'ca.conf'),
    [
      ...['[ca]', 'default_ca = test', '[test]', `dir = ${dir}`, 'database = $dir/index', 'new_certs_dir = $dir'],
      ...['rand_serial = yes', 'default_md = sha256', 'policy = any', 'copy_extensions = copy', 'unique_subject = no'],
      ...['certificate = $dir/ca.crt', 'private_key = $dir/ca.key', '[any]', 'commonName = supplied', ''],
    ].join('\n'),
  );
  await writeFile(path.join(dir, 'index'), '');
  // openssl's database takes one at a time.
  let queue: Promise<unknown> = Promise.resolve();
  const issue = async ({ name, subject, names = [], from, until, password }: CertificateOptions) => {
    await openssl(
      ...['req', '-new', ...curve, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${subject ?? name}`],
      ...(password === undefined ? ['-nodes'] : ['-passout', `pass:${password}`]),
      ...(names.length === 0 ? [] : ['-addext', `subjectAltName=${names.join(',')}`]),
    );
    const signed = queue.then(() =>
      openssl(
        ...['ca', '-batch', '-notext', '-config', 'ca.conf', '-in', `${name}.csr`, '-out', `${name}.crt`],
        ...['-startdate', from ?? inDays(-1), '-enddate', until ?? inDays(DAYS)],
      ),
    );
    queue = signed.catch(() => {});
    await signed;
    return { certificate: path.join(dir, `${name}.crt`), key: path.join(dir, `${name}.key`) };
  };
  const server = await issue({ name: 'server', names: ['DNS:localhost', 'IP:127.0.0.1'] });
  return { dir, ca, server, issue, remove: () => rm(dir, { recursive: true, force: true }) };
}
