/** The bounds of one worker. Every queue, buffer and wait of the engine is named here. */
export interface Limits {
  /** Commands of one client that may be on their way at once; above it the client is not read. */
  readonly clientPendingMax: number;
  /** Bytes of one command (`max_request_bytes`). */
  readonly clientRequestBytesMax: number;
  /** How long a client may say nothing (`idle_timeout`), and how long it may take to log in and to finish a command. */
  readonly clientIdleMs: number;
  readonly clientLoginMs: number;
  readonly clientRequestMs: number;
  /** Unsent reply bytes of one client above which it is disconnected at once, and for how long it may have how many. */
  readonly clientOutputHardBytes: number;
  readonly clientOutputSoftBytes: number;
  readonly clientOutputSoftMs: number;
  /** The same for one with subscriptions, beside `pubsubOutputBytesMax`. */
  readonly pubsubOutputSoftBytes: number;
  readonly pubsubOutputSoftMs: number;
  /** Unsent bytes of a client in MONITOR, and what waits for the other workers' monitors (`monitor_output_buffer_limit`). */
  readonly monitorOutputBytesMax: number;
  /** Scripts that a worker remembers of SCRIPT LOAD, and as many of EVAL; the least recently used are forgotten. */
  readonly scriptsMax: number;
  /** Their bytes, of each of the two. */
  readonly scriptBytesMax: number;
  /** Function libraries that a worker remembers, and the characters of their code. */
  readonly librariesMax: number;
  readonly libraryBytesMax: number;
  /** Bytes that a client may send on while it is blocked; above it its socket is not read. */
  readonly blockedInputBytesMax: number;
  /** Unsent reply bytes of one client above which its socket is not read. */
  readonly clientOutputBytesHigh: number;
  /**
   * Unsent reply bytes of one client above which the upstream connections that feed it are not read; a client that
   * reads gets as much again, and again, while there is any of `extraOutputBytesMax`.
   */
  readonly clientOutputBytesMax: number;
  /** What all clients of a worker may have above that. */
  readonly extraOutputBytesMax: number;
  /** Unsent reply bytes of all clients of a worker; above it, the client with the most is disconnected. */
  readonly outputBytesTotalMax: number;
  /** How long a client may hold up an upstream connection without taking a byte, before it is disconnected. */
  readonly clientStallMs: number;
  /** How long a client that reads may hold up an upstream connection, before it gets more room. */
  readonly clientHoldMs: number;
  /** How long it may do so when there is no more room, before it is disconnected. */
  readonly clientHoldMaxMs: number;
  /** Unsent bytes of a client with subscriptions above which it is disconnected (`pubsub_output_buffer_limit`). */
  readonly pubsubOutputBytesMax: number;
  /** Subscriptions of all clients of a worker, those on their way among them; above it, SUBSCRIBE is refused. */
  readonly subscriptionsMax: number;
  /** How long a subscription to a node is kept when no client has it any more. */
  readonly subscriptionLingerMs: number;
  /** A node that sends nothing for so long is asked whether it is there. */
  readonly subscriptionPingMs: number;
  /** How long a client may leave replies untaken, with nobody else held up, before it is disconnected. */
  readonly clientUnreadMs: number;
  /** Bytes of replies that a worker keeps because an earlier command of the same client is not answered yet. */
  readonly heldRepliesBytesMax: number;
  /** Bytes of unfinished large commands that a worker holds. */
  readonly requestBytesMax: number;
  /** Unsent bytes towards one upstream connection above which the clients that feed it are not read. */
  readonly upstreamOutputBytesHigh: number;
  /** Commands in flight on one upstream connection; above it, commands wait. */
  readonly upstreamInFlightMax: number;
  /** Commands that wait for one upstream connection or for a topology; above it, they fail. */
  readonly waitingMax: number;
  /** Bytes of one client's commands that wait for a connection or for a topology; above it the client is not read. */
  readonly clientWaitingBytesMax: number;
  /** The same over all clients of a worker; above it, nobody is read whose commands have to wait. */
  readonly waitingBytesMax: number;
  /** Commands in flight, and unsent bytes, on one upstream connection above which copies for a mirror are dropped. */
  readonly mirrorInFlightMax: number;
  readonly mirrorOutputBytesMax: number;
  /** Commands of one transaction, and their bytes; all clients' together count towards `requestBytesMax`. */
  readonly transactionCommandsMax: number;
  readonly transactionBytesMax: number;
  /** Keys that a client watches: a server compares each one with all others. */
  readonly watchedKeysMax: number;
  /** Keys of one blocking command. */
  readonly blockingKeysMax: number;
  /** `$` among the IDs of one blocking XREAD: each is asked for. */
  readonly newestIdsMax: number;
  /** Connections that are one client's own for a while (`max_dedicated_connections`). */
  readonly dedicatedMax: number;
  /** Those that nobody needs, kept for each node and RESP version. */
  readonly dedicatedIdleMax: number;
  /** How long one is kept that nobody needs. */
  readonly dedicatedIdleMs: number;
  /** How long the connections of a user of Redis's are kept when no client is logged in as it any more. */
  readonly upstreamUserIdleMs: number;
  /** Attempts to make shared connections of users that go on at once. */
  readonly upstreamUserConnectingMax: number;
  /** Attempts to make such connections to one node that go on at once. */
  readonly dedicatedConnectingMax: number;
  /** How often one command is sent in all, redirections and repetitions counted in. */
  readonly attemptsMax: number;
  /** Upstream hosts learned from redirections that the topology does not know (Envoy: max_upstream_unknown_connections). */
  readonly upstreamUnknownMax: number;
  /** Attempts to connect that a worker may make in a second, and at once (Envoy: connection_rate_limit). */
  readonly connectRatePerSecond: number;
  readonly connectBurst: number;
  /**
   * Waits between attempts to reach one upstream host, with jitter: from the first one on they double, up to the second,
   * and for so many attempts; then they double again, up to the largest.
   */
  readonly reconnectDelayMs: number;
  readonly reconnectQuickMs: number;
  readonly reconnectQuickAttempts: number;
  readonly reconnectDelayMaxMs: number;
}

export const DEFAULT_WORKER_LIMITS: Limits = {
  clientPendingMax: 16384,
  clientRequestBytesMax: Number.POSITIVE_INFINITY,
  clientIdleMs: Number.POSITIVE_INFINITY,
  clientLoginMs: 10_000,
  clientRequestMs: 60_000,
  clientOutputHardBytes: Number.POSITIVE_INFINITY,
  clientOutputSoftBytes: Number.POSITIVE_INFINITY,
  clientOutputSoftMs: 0,
  pubsubOutputSoftBytes: Number.POSITIVE_INFINITY,
  pubsubOutputSoftMs: 0,
  monitorOutputBytesMax: 32 * 1024 * 1024,
  scriptsMax: 4096,
  scriptBytesMax: 16 * 1024 * 1024,
  librariesMax: 1024,
  libraryBytesMax: 16 * 1024 * 1024,
  blockedInputBytesMax: 64 * 1024,
  clientOutputBytesHigh: 1024 * 1024,
  clientOutputBytesMax: 64 * 1024 * 1024,
  extraOutputBytesMax: 1024 * 1024 * 1024,
  outputBytesTotalMax: 2 * 1024 * 1024 * 1024,
  clientStallMs: 500,
  clientHoldMs: 40,
  clientHoldMaxMs: 2000,
  pubsubOutputBytesMax: 32 * 1024 * 1024,
  subscriptionsMax: 1_000_000,
  subscriptionLingerMs: 200,
  subscriptionPingMs: 1000,
  clientUnreadMs: 60_000,
  heldRepliesBytesMax: 1024 * 1024 * 1024,
  requestBytesMax: 1024 * 1024 * 1024,
  upstreamOutputBytesHigh: 16 * 1024 * 1024,
  upstreamInFlightMax: 131_072,
  waitingMax: 65_536,
  clientWaitingBytesMax: 8 * 1024 * 1024,
  waitingBytesMax: 128 * 1024 * 1024,
  mirrorInFlightMax: 16_384,
  mirrorOutputBytesMax: 4 * 1024 * 1024,
  transactionCommandsMax: 1024 * 1024,
  transactionBytesMax: 513 * 1024 * 1024,
  watchedKeysMax: 4096,
  blockingKeysMax: 65_536,
  newestIdsMax: 16_384,
  dedicatedMax: 4096,
  dedicatedIdleMax: 64,
  dedicatedIdleMs: 30_000,
  upstreamUserIdleMs: 30_000,
  upstreamUserConnectingMax: 64,
  dedicatedConnectingMax: 64,
  attemptsMax: 64,
  upstreamUnknownMax: 64,
  connectRatePerSecond: 50,
  connectBurst: 100,
  reconnectDelayMs: 20,
  reconnectQuickMs: 150,
  reconnectQuickAttempts: 60,
  reconnectDelayMaxMs: 2000,
};

/** At one in so many of `waitingMax`, clients that send more to a connection are not read. */
export const WAITING_HOLD_SHARE = 8;

/** Receivers of one message that are written to before other sockets are read again: half a millisecond or so. */
export const FLUSHES_PER_TURN = 128;

/** A client that closes its side and then waits for what may take for ever is let go after this time. */
export const FAREWELL_MS = 100;
