import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { canHaveNewerServers, redisWithAtomicMigration } from '../../../../scripts/newer-servers.js';
import { type Authority, makeAuthority } from '../../../support/certificates.js';
import { temporaryHome } from '../../../support/operations/join.js';
import { freePort } from '../../../support/ports.js';
import { poll, type RedisServer, startRedis } from '../../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS } from '../../../support/servers.js';
import { expectKeys, expectOwned, fill, type Home, moveSlots } from './moving.js';

const FORM_MS = 20_000;
const KEYS = 2_000;
const BUS_OFFSET = 10_000;
/** All that forge asks of a node to move slots this way. */
const RIGHTS = [
  ...['+cluster', '+info', '+ping', '+command|info', '+config|get'],
  ...['+client|setname', '+client|list', '+client|kill', '+client|id'],
];

/** And what Valkey lets the user do as whom the source comes to the target; Redis has a secret of the cluster for that. */
const IMPORTS = ['+cluster', '+select', '+@write', '~*'];

let stop: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of stop.reverse()) await end();
  stop = [];
});

interface Secure {
  readonly server: RedisServer;
  readonly tlsPort: number;
}

async function startSecure(authority: Authority, executable: string, host: string): Promise<Secure> {
  const [port, tlsPort] = [await freePort(), await freePort()];
  const { certificate, key } = await authority.issue({ name: `node-${port}`, names: ['IP:127.0.0.1', 'IP:::1'] });
  const args = [
    ...['--tls-port', String(tlsPort), '--tls-cert-file', certificate, '--tls-key-file', key],
    ...['--tls-ca-cert-file', authority.ca, '--tls-auth-clients', 'no', '--cluster-port', String(port + BUS_OFFSET)],
    ...['--tls-cluster', 'yes', '--tls-replication', 'yes'],
    ...['--user', 'operator', 'on', '>operating', '-@all', ...RIGHTS],
    ...['--user', 'node', 'on', '>replicating', '-@all', '+psync', '+replconf', '+ping', ...IMPORTS],
    ...['--masteruser', 'node', '--masterauth', 'replicating'],
  ];
  const server = await startRedis({ cluster: true, host, port, args, executable });
  stop.push(() => server.stop());
  return { server, tlsPort };
}

async function formed(authority: Authority, executable: string, host: string): Promise<Secure[]> {
  const nodes = await Promise.all([0, 1].map(() => startSecure(authority, executable, host)));
  const [first, second] = nodes as [Secure, Secure];
  await first.server.call('CLUSTER', 'ADDSLOTSRANGE', 0, 8191);
  await second.server.call('CLUSTER', 'ADDSLOTSRANGE', 8192, 16_383);
  await second.server.call('CLUSTER', 'SET-CONFIG-EPOCH', 2);
  await first.server.call('CLUSTER', 'MEET', host, second.tlsPort, second.server.port + BUS_OFFSET);
  await poll('the cluster is formed', FORM_MS, async () => {
    const infos = await Promise.all(nodes.map(({ server }) => server.call('CLUSTER', 'INFO')));
    return infos.every((info) => /cluster_state:ok[\s\S]*cluster_known_nodes:2/.test(String(info)));
  });
  return nodes;
}

describe.runIf(process.env['CI'] || canHaveNewerServers())('atomic moves over TLS, as an ACL user', () => {
  it.each([
    ['Valkey 9 by IPv6', '::1', () => executableOf('valkey9'), 'moving by CLUSTER MIGRATESLOTS'],
    ['Redis 8.4 and newer by IPv4', '127.0.0.1', () => redisWithAtomicMigration(), 'moving by CLUSTER MIGRATION'],
  ] as const)(
    'of %s take every key along, with few rights',
    { timeout: FETCH_TIMEOUT_MS },
    async (_, host, executable, note) => {
      const authority = await makeAuthority();
      stop.push(() => authority.remove());
      const home: Home = await temporaryHome();
      stop.push(() => home.remove());
      const nodes = await formed(authority, executable(), host);
      const servers = nodes.map(({ server }) => server);
      const [from, to] = servers as [RedisServer, RedisServer];
      await fill(servers, KEYS);
      const notes: string[] = [];
      const setting = {
        seeds: `${host === '::1' ? '[::1]' : host}:${nodes[0]?.tlsPort}`,
        home,
        from,
        to,
        ranges: [{ start: 0, end: 4_095 }],
      };
      const result = await moveSlots(setting, {
        connect: { username: 'operator', password: 'operating', tls: { ca: await readFile(authority.ca) } },
        observer: { event: (_step, event) => void (event.type === 'progress' || notes.push(event.text)) },
      });
      expect(result.status).toBe('done');
      expect(notes).toEqual([note]);
      await expectOwned(servers, to, setting.ranges);
      await expectKeys(servers, KEYS);
    },
  );
});
