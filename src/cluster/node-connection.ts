/** One plain connection to one Redis node: no reconnecting, no redirects, every wait bounded, every error a ForgeError. */
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { Redis } from 'ioredis';
import { ForgeError } from '../errors.js';
import { formatAddress } from './address.js';
import { commandFailure, connectFailure, isNoPasswordNeeded, isReplyError } from './node-failure.js';
import { secretArgument } from './secret.js';

export const CONNECT_TIMEOUT_MS = 5_000;
export const COMMAND_TIMEOUT_MS = 5_000;
/** How long a closed connection may take to say goodbye before its socket is destroyed. */
const GOODBYE_MS = 100;

export interface NodeCredentials {
  /** ACL user; the default user without it. */
  username?: string;
  password?: string;
}

export interface ConnectNodeOptions extends NodeCredentials {
  /** Host name or IP address (IPv6 without brackets). */
  host: string;
  port: number;
  /** TLS settings of node:tls; `{}` is TLS with the system's authorities. Plain TCP without it. */
  tls?: TlsOptions;
  /** Bound for TCP, TLS and authentication each. */
  connectTimeoutMs?: number;
  /** Bound for the reply to each command. */
  commandTimeoutMs?: number;
  /** Ends the connecting; a connection that stands is closed by its owner. */
  signal?: AbortSignal;
}

type Argument = string | number | Buffer;

/** A command with its arguments. */
export type Command = readonly [name: string, ...args: Argument[]];

/** A connection that stands and is authenticated. Close it. */
export class NodeConnection {
  /** `host:port` as it was asked for; every error names it. */
  readonly label: string;
  /** The IP address that the host resolved to. */
  readonly ip: string;
  /** A password was given, and the server does not ask for one. */
  readonly passwordUnused: boolean;
  /** The client underneath, for pipelines and binary replies; its errors are ioredis's own. */
  readonly client: Redis;

  constructor(client: Redis, options: { label: string; ip: string; passwordUnused: boolean }) {
    this.client = client;
    this.label = options.label;
    this.ip = options.ip;
    this.passwordUnused = options.passwordUnused;
  }

  get isOpen(): boolean {
    return this.client.status === 'ready';
  }

  /**
   * Sends one command and returns its reply.
   * @throws ForgeError `denied` (no permission), `timeout`, `unreachable` (connection lost, server loading), or
   *   `refused` when the node answers an error; `replyErrorOf` gives its text
   */
  async call(command: string, ...args: Argument[]): Promise<unknown> {
    try {
      return await this.client.call(command, ...args);
    } catch (error) {
      throw commandFailure(error, this.label, command);
    }
  }

  /**
   * Sends the commands in one write, so that a server takes them in one turn of its loop, and returns the outcome of each
   * in their order; a failure is the ForgeError that `call` throws. Bulk replies are Buffers with `binary`, else text.
   */
  async callAll(
    commands: readonly Command[],
    options: { binary?: boolean } = {},
  ): Promise<PromiseSettledResult<unknown>[]> {
    if (commands.length === 0) return [];
    const method = options.binary ? 'callBuffer' : 'call';
    const replies = (await this.client.pipeline(commands.map((command) => [method, ...command])).exec()) ?? [];
    return commands.map(([name], index) => {
      const [error, value] = replies[index] ?? [new Error('no reply')];
      return error === null
        ? { status: 'fulfilled', value }
        : { status: 'rejected', reason: commandFailure(error, this.label, name) };
    });
  }

  /** Like `call`, for commands that answer text. */
  async callText(command: string, ...args: Argument[]): Promise<string> {
    const reply = await this.call(command, ...args);
    if (typeof reply === 'string') return reply;
    throw new ForgeError('verification', `${this.label} did not answer text to ${command}.`, { host: this.label });
  }

  close(): void {
    this.client.disconnect();
  }
}

function createClient(options: ConnectNodeOptions): Redis {
  return new Redis({
    host: options.host,
    port: options.port,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    lazyConnect: true,
    connectTimeout: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    commandTimeout: options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS,
    disconnectTimeout: GOODBYE_MS,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    // Authentication is done below: ioredis would print warnings, and put the password into debug output.
    enableReadyCheck: false,
    disableClientInfo: true,
    protocol: 2,
  });
}

/** True when the server asked for no password although one was given. */
async function authenticate(client: Redis, options: ConnectNodeOptions): Promise<boolean> {
  const { username, password } = options;
  if (password === undefined) {
    await client.call('PING');
    return false;
  }
  try {
    await client.call('AUTH', ...(username === undefined ? [] : [username]), secretArgument(password));
    return false;
  } catch (error) {
    if (username === undefined && isNoPasswordNeeded(error)) return true;
    throw error;
  }
}

/**
 * Connects to one node and authenticates.
 * @throws ForgeError `unreachable`, `denied` or `timeout`, with `host` set to `host:port` and the next step
 */
export async function connectNode(options: ConnectNodeOptions): Promise<NodeConnection> {
  const label = formatAddress(options);
  options.signal?.throwIfAborted();
  const client = createClient(options);
  let failure: unknown;
  client.on('error', (error: unknown) => {
    failure ??= error;
  });
  const stop = () => client.disconnect();
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    await client.connect();
    const passwordUnused = await authenticate(client, options);
    const ip = client.stream.remoteAddress ?? options.host;
    return new NodeConnection(client, { label, ip, passwordUnused });
  } catch (error) {
    client.disconnect();
    options.signal?.throwIfAborted();
    // The event tells why; the promise often only that the connection is closed.
    throw connectFailure(isReplyError(error) ? error : (failure ?? error), label, options);
  } finally {
    options.signal?.removeEventListener('abort', stop);
  }
}
