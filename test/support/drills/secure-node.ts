/** One node of a cluster with TLS and users: its files as `forge` renders them, and a daemon that runs by them. */
import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ADMIN_RULES, APP_RULES, REPLICATION_RULES } from '../../../src/runtime/acl.js';
import { redisFiles } from '../../../src/runtime/redis-server.js';
import { BUS_OFFSET } from '../ports.js';
import { poll } from '../redis.js';
import { NODE_TIMEOUT_MS } from './matrix.js';

const END_MS = 10_000;

/** Under redis.conf's own names. */
export type NodeSettings = Readonly<Record<string, readonly string[]>>;

export interface SecureNode {
  readonly host: string;
  readonly port: number;
  readonly directory: string;
  readonly passwords: Readonly<Record<'admin' | 'app' | 'replication', string>>;
  readonly settings: NodeSettings;
}

/** Writes its redis.conf, and the users beside it; both hold when it is started. */
export async function renderNode({ host, port, directory, passwords, settings }: SecureNode): Promise<void> {
  const file = (name: string) => path.join(directory, name);
  const files = await redisFiles({
    config: file('redis.conf'),
    users: [
      { name: 'admin', password: passwords.admin, rules: ADMIN_RULES },
      { name: 'app', password: passwords.app, rules: APP_RULES },
      { name: 'replication', password: passwords.replication, rules: REPLICATION_RULES },
    ],
    replicationUser: 'replication',
    conf: {
      bind: host,
      port,
      busPort: port + BUS_OFFSET,
      files: {
        directory,
        auth: file('replication-auth.conf'),
        acl: file('users.acl'),
        log: file('redis.log'),
        pid: file('redis.pid'),
      },
      tls: {
        certificate: file('server.crt'),
        key: file('server.key'),
        authority: file('ca-bundle.crt'),
        authClients: 'yes',
      },
      announce: { ip: host },
      nodeTimeoutMs: NODE_TIMEOUT_MS,
      settings,
    },
  });
  for (const { path: target, content, mode } of files) await writeFile(target, content, { mode });
}

/** Starts it by the redis.conf that is there then, in the background. */
export function startWords(directory: string): string[] {
  return ['redis-server', path.join(directory, 'redis.conf'), '--daemonize', 'yes'];
}

export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

/** Puts what `forge gen-certs` has made for one party where that reads it, each file whole. */
export async function giveFiles(certificates: string, party: string, directory: string): Promise<CertificateFiles> {
  await mkdir(directory, { recursive: true });
  const give = async (file: string, name: string) => {
    const target = path.join(directory, name);
    await copyFile(path.join(certificates, file), `${target}.new`);
    await rename(`${target}.new`, target);
    return target;
  };
  return {
    certificate: await give(`${party}/server.crt`, 'server.crt'),
    key: await give(`${party}/server.key`, 'server.key'),
    authority: await give('ca-bundle.crt', 'ca-bundle.crt'),
  };
}

/** Ends the daemon, if there is one. It is no child: it is gone when no signal reaches it any more. */
export async function endNode(directory: string): Promise<void> {
  const text = await readFile(path.join(directory, 'redis.pid'), 'utf8').catch(() => '');
  if (text === '') return;
  const signal = (name: NodeJS.Signals | 0) => {
    try {
      return process.kill(Number(text), name);
    } catch {
      return false;
    }
  };
  signal('SIGKILL');
  await poll(`the node in ${directory} ends`, END_MS, () => !signal(0));
}
