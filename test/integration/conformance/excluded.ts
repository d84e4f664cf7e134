/**
 * Commands of the table that have no case here. Every one is refused by design: the test sends it through the proxy and
 * wants the refusal that docs/proxy.md states. Each name is one command, or a container with all its subcommands.
 */
export const EXCLUDED: Readonly<Record<string, string>> = {
  shutdown: 'ends a node',
  replicaof: 'gives a node another role',
  slaveof: 'the old name of REPLICAOF',
  failover: 'gives a node another role',
  migrate: 'moves keys between nodes behind the cluster',
  debug: 'crashes and corrupts on purpose',
  module: "changes a node's code",
  clusterscan: 'walks the slots of a cluster, which one endpoint does not show',
  cluster: "changes a node's view of the cluster; one endpoint has no topology to show",
  'restore-asking': 'is how MIGRATE writes',
  replconf: 'is spoken between master and replica',
  psync: 'is spoken between master and replica',
  sync: 'is spoken between master and replica',
  pfdebug: 'shows the inside of a key and changes its encoding',
  pfselftest: 'is for the developers of Redis',
  asking: 'is how the proxy itself follows a redirection',
  readonly: 'chooses replicas, which is the read policy of the proxy',
  readwrite: 'chooses masters, which is the read policy of the proxy',
  'client|capa': 'tells a node what redirections the client can follow; there are none here',
  'client|import-source': 'belongs to a node that takes in data from another',
  'script|debug': 'stops a server for a debugger',
  'acl|deluser': "is about the servers' users, who are not the proxy's",
  'acl|load': "is about the servers' users, who are not the proxy's",
  'acl|log': "is about the servers' users, who are not the proxy's",
  'acl|save': "is about the servers' users, who are not the proxy's",
  'acl|setuser': "is about the servers' users, who are not the proxy's",
};
