/**
 * Fields of INFO that the proxy leaves out: they name one process, or are about its own tables of clients and its own
 * stream to replicas, where the proxy stands for several.
 */
export const INFO_OF_ONE_NODE: ReadonlySet<string> = new Set([
  ...['process_supervised', 'run_id', 'server_time_usec', 'lru_clock', 'executable', 'config_file'],
  ...['io_threads_active', 'cluster_connections', 'maxclients', 'client_recent_max_input_buffer'],
  ...['client_recent_max_output_buffer', 'tracking_clients', 'clients_in_timeout_table'],
  // Of newer releases:
  ...['listener0', 'availability_zone', 'pubsub_clients', 'watching_clients', 'total_watched_keys'],
  ...['total_blocking_keys', 'total_blocking_keys_on_nokey', 'paused_reason', 'paused_actions'],
  ...['paused_timeout_milliseconds', 'replicas_waiting_psync'],
  ...['master_replid', 'master_replid2', 'master_repl_offset', 'second_repl_offset', 'repl_backlog_active'],
  ...['repl_backlog_size', 'repl_backlog_first_byte_offset', 'repl_backlog_histlen'],
]);

/** Fields of CLIENT LIST, all of newer releases, that are about a connection to a node. */
export const CLIENT_FIELDS_OF_A_NODE: ReadonlySet<string> = new Set(
  'capa tot-net-in tot-net-out tot-cmds io-thread'.split(' '),
);

/**
 * Differences between one server and the proxy that are meant: why, and what the proxy has to answer instead. A case
 * names its difference in the mark `@allowed`; one that no longer differs anywhere fails the test.
 */
export interface Allowed {
  readonly because: string;
  /** What the proxy's raw reply, Latin-1, has to match where it differs. */
  readonly proxy: RegExp;
}

export const ALLOWED: Readonly<Record<string, Allowed>> = {
  database: {
    because: 'a Redis Cluster has one database, number 0',
    proxy: /^-ERR /,
  },
  reports: {
    because: 'a report in words is each node’s own, under its address',
    proxy: /^[$=]\d+\r\n(txt:)?# 127\.0\.0\.1:\d+\n/,
  },
  cursor: {
    because: 'a cursor that no SCAN has given is refused; a server goes on from wherever it points',
    proxy: /^-ERR (invalid cursor|slots have moved between shards since this scan began)/,
  },
  help: {
    because: 'the text says what the proxy does',
    proxy: /^\*\d+\r\n\+CLIENT <subcommand>/,
  },
  tracking: {
    because: 'there is no client-side caching through the proxy; docs/clients.md says why',
    proxy: /^-ERR CLIENT TRACKING is not supported by the proxy/,
  },
  inside: {
    because: 'a transaction runs on one server, where the connection is not the client’s and the other shards are not',
    proxy: /^(-ERR unsupported command '[a-z|]+' inside MULTI: |-EXECABORT )/,
  },
  nested: {
    because: 'Valkey 9 gives up a transaction in which MULTI or WATCH came; the proxy goes on with it, as Redis does',
    proxy: /^\*/,
  },
  slots: {
    because: 'keys of one command have to be in one slot, unless the proxy splits the command',
    proxy: /^-CROSSSLOT /,
  },
};
