/** Clusters as careful people run them: TLS alone, no default user, a user for forge that has the documented rights only. */
import { readFile } from 'node:fs/promises';
import { type Authority, makeAuthority } from '../../support/certificates.js';
import { TestOperator } from '../../support/operations/operator.js';
import { Traffic } from '../../support/operations/traffic.js';
import { type RedisCluster, type RedisServer, startCluster, startServers } from '../../support/redis.js';
import { readText } from '../../support/repository.js';

const PASSWORDS = { admin: 'administering', forge: 'forging', node: 'replicating' };

export interface Naming {
  readonly host: string;
  /** What the certificate is for; nobody who goes by another name gets in. */
  readonly certificate: string;
  readonly args: readonly string[];
}

export const NAMINGS: readonly (readonly [string, Naming])[] = [
  [
    'by host name',
    {
      host: 'localhost',
      certificate: 'DNS:localhost',
      args: ['--cluster-announce-hostname', 'localhost', '--cluster-preferred-endpoint-type', 'hostname'],
    },
  ],
  ['by IPv4', { host: '127.0.0.1', certificate: 'IP:127.0.0.1', args: [] }],
  ['by IPv6', { host: '::1', certificate: 'IP:::1', args: [] }],
];

/** The rules of the user forge as the page of the rights has them: `~*`, `+cluster`, … */
export function documentedRules(): string[] {
  const line = /^ACL SETUSER forge on >PASSWORD (.*)$/m.exec(readText('docs/operations.md'))?.[1];
  if (line === undefined) throw new Error('docs/operations.md does not tell the rights of the user');
  return line.split(' ');
}

export interface SecureOptions {
  readonly naming: Naming;
  readonly executable?: string;
  readonly masters?: number;
  readonly replicasPerMaster?: number;
  /** Nodes that belong to no cluster yet. */
  readonly spares?: number;
  /** Of the user forge; those of the page when not given. */
  readonly rules?: readonly string[];
}

export interface SecureCluster extends RedisCluster {
  readonly spares: readonly RedisServer[];
  /** For `halfMove`. */
  readonly auth: readonly string[];
  readonly operator: TestOperator;
  startTraffic(): Promise<Traffic>;
  /** What the nodes have denied anybody. */
  denied(): Promise<string[]>;
}

export async function startSecureCluster(options: SecureOptions): Promise<SecureCluster> {
  const { naming, executable, masters, replicasPerMaster, spares: count = 0, rules = documentedRules() } = options;
  const authority: Authority = await makeAuthority();
  const files = await authority.issue({ name: 'nodes', names: [naming.certificate] });
  const connect = { ca: await readFile(authority.ca) };
  const settings = {
    host: naming.host,
    executable,
    credentials: { username: 'admin', password: PASSWORDS.admin },
    tls: { ...files, ca: authority.ca, connect },
    args: [
      ...naming.args,
      ...['--user', 'default', 'off', '--user', 'admin', 'on', `>${PASSWORDS.admin}`, '~*', '&*', '+@all'],
      ...['--user', 'forge', 'on', `>${PASSWORDS.forge}`, ...rules],
      // The last four: as whom the source of an atomic move of Valkey comes to the target.
      ...['--user', 'node', 'on', `>${PASSWORDS.node}`, '-@all', '+psync', '+replconf', '+ping'],
      ...['~*', '+cluster', '+select', '+@write', '--masteruser', 'node', '--masterauth', PASSWORDS.node],
    ],
  };
  const cluster = await startCluster({ ...settings, masters, replicasPerMaster });
  const spares = await startServers(count, { ...settings, cluster: true });
  const operator = await TestOperator.create({
    REDIS_USERNAME: 'forge',
    REDIS_REQUIREPASS: PASSWORDS.forge,
    REDIS_TLS_CA: authority.ca,
    CLUSTER_SEED: cluster.addresses,
  });
  const all = [...cluster.nodes, ...spares];
  return {
    ...cluster,
    spares,
    operator,
    auth: ['AUTH2', 'admin', PASSWORDS.admin],
    startTraffic: () => {
      const seeds = cluster.nodes.map(({ host, port }) => ({ host, port }));
      return Traffic.start(seeds, { ...settings.credentials, tls: connect });
    },
    async denied() {
      const logs = await Promise.all(all.map((node) => node.call('ACL', 'LOG').catch(() => [])));
      return logs.flatMap((log) => (log as unknown[]).map(String));
    },
    async stop() {
      await Promise.all([cluster.stop(), ...spares.map((spare) => spare.stop())]);
      await Promise.all([authority.remove(), operator.remove()]);
    },
  };
}
