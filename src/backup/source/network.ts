/** Reads a snapshot from a node over the network, as a replica would: nothing of it is on the node's disk. */
import { Readable } from 'node:stream';
import { encodeCommands } from '../../cluster/bulk/encode-commands.js';
import type { NodeConnection } from '../../cluster/node-connection.js';
import { commandFailure, replyErrorOf } from '../../cluster/node-failure.js';
import { ForgeError } from '../../errors.js';
import { FrameError, RdbFrame } from './rdb-frame.js';

/** A server that prepares a snapshot sends an empty line every `repl-ping-replica-period` (10 s), or every second. */
export const SILENCE_MAX_MS = 60_000;

/** Newer than any: the server takes the newest format that it writes. */
const NEWEST_VERSION = '255.255.255';

export interface RdbSource {
  /** The stream of writes, and the place in it, that the snapshot is of. */
  readonly replicationId: string;
  readonly offset: number;
  /** Milliseconds since 1970: when its first byte came. */
  readonly startedAt: number;
  /** The RDB file; fails with a ForgeError when it breaks off. Destroy it to stop early. */
  readonly stream: Readable;
}

export interface ReadRdbOptions {
  readonly signal: AbortSignal;
  /** Longest time in which nothing comes once it has begun, milliseconds. */
  readonly silenceMs?: number;
}

/**
 * Asks the node for a full synchronisation, and resolves when the snapshot begins. The server begins it by a fork: give
 * the node time and memory for one.
 * @param connection stands and has nothing under way; it is used up by this, and closed with the stream
 * @throws ForgeError `refused` or `denied` as the server says; `unreachable`, `timeout`
 */
export async function readRdb(connection: NodeConnection, options: ReadRdbOptions): Promise<RdbSource> {
  try {
    // It can say where the snapshot ends, so that the server need not write it to its disk first.
    await connection.call('REPLCONF', 'capa', 'eof', 'capa', 'psync2');
    // It wants no writes afterwards: the server need not keep any for it.
    await connection.call('REPLCONF', 'rdb-only', '1');
    await sayVersion(connection);
  } catch (error) {
    connection.close();
    throw error;
  }
  // Only now: a server refuses PSYNC while it has answers for this connection.
  return new Promise((resolve, reject) => new RdbReader(connection, options, { resolve, reject }).begin());
}

/**
 * Valkey 9 gives the format of Valkey 8 to a replica that does not say its version, and gives up where that cannot hold what
 * it has: a hash whose fields expire. Others do not know the word, and always give what they have.
 */
async function sayVersion(connection: NodeConnection): Promise<void> {
  try {
    await connection.call('REPLCONF', 'version', NEWEST_VERSION);
  } catch (error) {
    if (replyErrorOf(error) === undefined) throw error;
  }
}

interface Settle {
  readonly resolve: (source: RdbSource) => void;
  readonly reject: (error: unknown) => void;
}

class RdbReader {
  readonly #connection: NodeConnection;
  readonly #socket: NodeConnection['client']['stream'];
  readonly #frame = new RdbFrame();
  readonly #options: ReadRdbOptions;
  readonly #settle: Settle;
  readonly #stream: Readable;
  #silence: NodeJS.Timeout | undefined;
  #begun = false;
  #done = false;

  constructor(connection: NodeConnection, options: ReadRdbOptions, settle: Settle) {
    this.#connection = connection;
    this.#socket = connection.client.stream;
    this.#options = options;
    this.#settle = settle;
    this.#stream = new Readable({
      read: () => {
        this.#socket.resume();
        this.#watch();
      },
      destroy: (error, done) => {
        this.#finish();
        done(error);
      },
    });
  }

  begin(): void {
    const { signal } = this.#options;
    const abort = () => this.#fail(signal.reason);
    if (signal.aborted) {
      abort();
      return;
    }
    signal.addEventListener('abort', abort, { once: true });
    this.#stream.once('close', () => signal.removeEventListener('abort', abort));
    this.#socket.removeAllListeners('data');
    this.#socket.on('data', (piece: Buffer) => this.#take(piece));
    this.#socket.once('close', () => this.#lost());
    this.#socket.resume();
    this.#watch();
    this.#socket.write(encodeCommands([['PSYNC', '?', '-1']]));
  }

  #take(piece: Buffer): void {
    if (this.#done) return;
    this.#watch();
    let pieces: Buffer[];
    try {
      pieces = this.#frame.push(piece);
    } catch (error) {
      this.#fail(this.#explained(error));
      return;
    }
    if (this.#frame.start !== undefined && !this.#begun) {
      this.#begun = true;
      const { replicationId, offset } = this.#frame.start;
      this.#settle.resolve({ replicationId, offset, startedAt: Date.now(), stream: this.#stream });
    }
    let room = true;
    for (const each of pieces) room = this.#stream.push(each);
    if (this.#frame.ended) {
      this.#finish();
      this.#stream.push(null);
    } else if (!room) {
      this.#socket.pause();
      // Whoever reads takes its time: that is no silence of the server.
      clearTimeout(this.#silence);
    }
  }

  #watch(): void {
    clearTimeout(this.#silence);
    if (this.#done) return;
    const silenceMs = (this.#begun ? this.#options.silenceMs : undefined) ?? SILENCE_MAX_MS;
    this.#silence = setTimeout(() => {
      const { label } = this.#connection;
      const message = `${label} has sent nothing of its data for ${Math.round(silenceMs / 1_000)} s.`;
      this.#fail(
        new ForgeError('timeout', message, { host: label, next: 'Look into its log, and at its load and memory.' }),
      );
    }, silenceMs);
  }

  #lost(): void {
    if (this.#done) return;
    const { label } = this.#connection;
    this.#fail(
      new ForgeError('unreachable', `${label} closed the connection in the middle of its data.`, {
        host: label,
        next: 'Look into its log: a snapshot that fails, or client-output-buffer-limit replica, ends it.',
      }),
    );
  }

  #explained(error: unknown): unknown {
    if (!(error instanceof FrameError)) return error;
    const { label } = this.#connection;
    const reply = Object.assign(new Error(error.message), { name: 'ReplyError' });
    if (/^(NOAUTH|NOPERM|WRONGPASS|DENIED)\b/.test(error.message)) return commandFailure(reply, label, 'PSYNC');
    return new ForgeError('refused', `${label} gives no snapshot: ${error.message}`, {
      host: label,
      next: 'Take another node of the shard, or wait until this one is synchronised with its master.',
      details: { reply: error.message },
    });
  }

  #fail(error: unknown): void {
    if (this.#done) return;
    this.#finish();
    if (this.#begun) this.#stream.destroy(error as Error);
    else {
      this.#stream.destroy();
      this.#settle.reject(error);
    }
  }

  #finish(): void {
    this.#done = true;
    clearTimeout(this.#silence);
    this.#connection.close();
  }
}
