/** All keys of a server of our own, which nobody writes to: read by SCAN, many at once. */
import { BulkConnection } from '../../cluster/bulk/bulk-connection.js';
import type { Command, NodeConnection } from '../../cluster/node-connection.js';
import { parseInfo } from '../../cluster/parse-info.js';
import { ForgeError } from '../../errors.js';
import type { KeyReader, StoredKey } from '../restore/key-reader.js';
import type { ScratchServer } from './server.js';

const COMMAND_MS = 120_000;
/** Keys that one SCAN is asked for; it may give some more. */
const SCAN_COUNT = 512;
/** Values that are asked for at once: fewer where they are large. */
const VALUES_MIN = 4;
const VALUES_START = 32;
const VALUES_MAX = 512;
const BATCH_BYTES = 4 * 1024 * 1024;

export async function bulkConnection(server: ScratchServer): Promise<BulkConnection> {
  return new BulkConnection(await server.connect(), COMMAND_MS);
}

/** The databases that hold keys, in ascending order. */
async function databasesOf(connection: NodeConnection): Promise<number[]> {
  const info = parseInfo(await connection.callText('INFO', 'keyspace'));
  return [...info.keys()].flatMap((name) => (/^db\d+$/.test(name) ? [Number(name.slice(2))] : []));
}

export interface FoundKeys {
  readonly database: number;
  readonly keys: readonly Buffer[];
}

/**
 * Every key once. SCAN may give a key twice only where its table changes its size meanwhile: none is written, but a
 * table may shrink as keys expire; so those that may come twice are told apart by their neighbours of a round.
 */
export async function* scanKeys(connection: BulkConnection): AsyncGenerator<FoundKeys> {
  for (const database of await databasesOf(connection)) {
    await connection.call('SELECT', database);
    let cursor = '0';
    do {
      const [outcome] = await connection.callAll([['SCAN', cursor, 'COUNT', SCAN_COUNT]], { binary: true });
      if (outcome?.status !== 'fulfilled') throw outcome?.reason;
      const [next, keys] = outcome.value as [Buffer, Buffer[]];
      cursor = next.toString();
      if (keys.length > 0) yield { database, keys };
    } while (cursor !== '0');
  }
}

/** The keys with what RESTORE needs; those whose time came meanwhile are left out. */
export async function readValues(connection: BulkConnection, { database, keys }: FoundKeys): Promise<StoredKey[]> {
  const commands = keys.flatMap((key): Command[] => [
    ['DUMP', key],
    ['PEXPIRETIME', key],
  ]);
  const outcomes = await connection.callAll(commands, { binary: true });
  const found: StoredKey[] = [];
  for (const [index, key] of keys.entries()) {
    const [dump, time] = [outcomes[2 * index], outcomes[2 * index + 1]];
    if (dump?.status !== 'fulfilled') throw dump?.reason;
    if (time?.status !== 'fulfilled') throw time?.reason;
    const payload = dump.value as Buffer | null;
    const expireAtMs = Number(time.value);
    // -2: it was there for DUMP, and its time has come since.
    if (payload === null || expireAtMs === -2) continue;
    found.push({
      key,
      database,
      expireAtMs: expireAtMs < 0 ? undefined : expireAtMs,
      type: payload[0] ?? 0,
      payload: () => payload,
      payloadBytes: payload.length,
      writePayload: (target, at) => at + payload.copy(target, at),
    });
  }
  return found;
}

/** The keys of a shard by the server that has loaded it. */
export class ScratchReader implements KeyReader {
  /** Every server begins its tables at random. */
  readonly ordered = false;
  readonly #server: ScratchServer;
  #functions: readonly string[] = [];

  /** @param server is stopped by `close` */
  constructor(server: ScratchServer) {
    this.#server = server;
  }

  get functions(): readonly string[] {
    return this.#functions;
  }

  async *batches(): AsyncGenerator<readonly StoredKey[]> {
    const connection = await bulkConnection(this.#server);
    try {
      this.#functions = await functionsOf(connection);
      let size = VALUES_START;
      for await (const { database, keys } of scanKeys(connection)) {
        for (let from = 0; from < keys.length; ) {
          const batch = await readValues(connection, { database, keys: keys.slice(from, from + size) });
          from += size;
          yield batch;
          const bytes = batch.reduce((sum, key) => sum + key.payloadBytes, 0);
          size = bytes > BATCH_BYTES ? Math.max(VALUES_MIN, size >> 1) : Math.min(VALUES_MAX, size * 2);
        }
      }
    } finally {
      connection.close();
    }
  }

  close(): Promise<void> {
    return this.#server.stop();
  }
}

async function functionsOf(connection: NodeConnection): Promise<string[]> {
  const reply = await connection.call('FUNCTION', 'LIST', 'WITHCODE');
  if (!Array.isArray(reply)) throw new ForgeError('verification', `${connection.label} lists no functions.`);
  return reply.flatMap((library: unknown) => {
    if (!Array.isArray(library)) return [];
    const code: unknown = library[library.indexOf('library_code') + 1];
    return typeof code === 'string' ? [code] : [];
  });
}
