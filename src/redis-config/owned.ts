/** Settings of redis.conf that forge itself decides, and where forge.yaml has what they are made of. Pure. */

const TLS_FILES = 'put the files into the folder of redis.tls.directory (forge gen-certs)';
const ANNOUNCE = 'say it by announce of the node in nodes';
const USERS = 'say it in redis.users';
const RUNTIME = 'it belongs to how nodes are run';
const FILES = 'backups look for this name';

const OWNED: Readonly<Record<string, string>> = {
  port: 'say it in nodes',
  'tls-port': 'say the port in nodes, and TLS in redis.tls',
  'cluster-port': 'say it by bus_port of the node in nodes',
  bind: 'nodes listen on all addresses of their container; limit who reaches them by network and firewall',
  'protected-mode': 'it stays on',
  dir: 'say it in redis.data',
  'cluster-enabled': 'nodes are nodes of a cluster',
  'cluster-config-file': FILES,
  appendfilename: FILES,
  appenddirname: FILES,
  dbfilename: FILES,
  'cluster-announce-ip': ANNOUNCE,
  'cluster-announce-hostname': ANNOUNCE,
  'cluster-announce-port': ANNOUNCE,
  'cluster-announce-tls-port': ANNOUNCE,
  'cluster-announce-bus-port': ANNOUNCE,
  'replica-announce-ip': ANNOUNCE,
  'replica-announce-port': ANNOUNCE,
  'cluster-preferred-endpoint-type': 'say it in redis.announce.preferred',
  aclfile: USERS,
  user: USERS,
  requirepass: `${USERS}; its password comes from REDIS_REQUIREPASS`,
  masteruser: `${USERS}.replication`,
  masterauth: `${USERS}.replication`,
  'rename-command': `limit commands by rights: ${USERS}`,
  include: 'say its settings here',
  loadmodule: 'use an image that loads it',
  replicaof: 'replicas are made by forge init-cluster',
  'tls-cert-file': TLS_FILES,
  'tls-key-file': TLS_FILES,
  'tls-key-file-pass': 'keys have no passphrase; only the node may read them',
  'tls-client-cert-file': TLS_FILES,
  'tls-client-key-file': TLS_FILES,
  'tls-client-key-file-pass': 'keys have no passphrase; only the node may read them',
  'tls-ca-cert-file': TLS_FILES,
  'tls-ca-cert-dir': TLS_FILES,
  'tls-cluster': 'say it in redis.tls',
  'tls-replication': 'say it in redis.tls',
  'tls-auth-clients': 'say it in redis.tls.auth_clients',
  unixsocket: RUNTIME,
  unixsocketperm: RUNTIME,
  daemonize: RUNTIME,
  supervised: RUNTIME,
  pidfile: RUNTIME,
  logfile: RUNTIME,
};

/** Where a setting is to be said instead; undefined for one that may be said by its own name. */
export function ownedPlace(key: string): string | undefined {
  return Object.hasOwn(OWNED, key) ? OWNED[key] : undefined;
}

/** Names, for the page about them. */
export const OWNED_SETTINGS: readonly string[] = Object.keys(OWNED);
