/** Whether a key has the same value on both sides of an open slot. */
import type { Command, NodeConnection } from '../../../cluster/node-connection.js';
import { ForgeError } from '../../../errors.js';

/** DUMP ends with two bytes of the format's version and eight of a checksum: different versions, same value. */
const DUMP_TAIL_BYTES = 10;
const ASKING: Command = ['ASKING'];
/** How the members of a type are read, and in how large groups they belong together. Order counts for a list alone. */
const MEMBERS: Record<string, { words: (key: Buffer) => Command; group: number; ordered: boolean }> = {
  list: { words: (key) => ['LRANGE', key, 0, -1], group: 1, ordered: true },
  set: { words: (key) => ['SMEMBERS', key], group: 1, ordered: false },
  hash: { words: (key) => ['HGETALL', key], group: 2, ordered: false },
  zset: { words: (key) => ['ZRANGE', key, 0, -1, 'WITHSCORES'], group: 2, ordered: false },
};
/** Values above this are not read to compare them: they count as different, and a person decides. */
const MEMBERS_BYTES_MAX = 64 * 1024 * 1024;

export type Comparison = 'equal' | 'different' | 'only-source' | 'only-target' | 'neither';

/**
 * Compares by a digest where the nodes allow DEBUG, else by the serialized values, else by their members: the same set
 * may be serialized in another order.
 */
export async function compareKey(source: NodeConnection, target: NodeConnection, key: Buffer): Promise<Comparison> {
  const [here, there] = await Promise.all([read(source, ['DUMP', key]), read(target, ['DUMP', key])]);
  if (!(here instanceof Buffer)) return there instanceof Buffer ? 'only-target' : 'neither';
  if (!(there instanceof Buffer)) return 'only-source';
  if (bodyOf(here).equals(bodyOf(there))) return 'equal';
  const digests = await Promise.all([digestOf(source, key), digestOf(target, key)]);
  if (digests[0] !== undefined && digests[1] !== undefined) return digests[0] === digests[1] ? 'equal' : 'different';
  if (here.length > MEMBERS_BYTES_MAX) return 'different';
  const members = await Promise.all([membersOf(source, key), membersOf(target, key)]).catch((error: unknown) => {
    // A user who may not read values leaves it to somebody who may; a failure would leave the slot open.
    if (error instanceof ForgeError && error.kind === 'denied') return [undefined];
    throw error;
  });
  return members[0] !== undefined && members[0] === members[1] ? 'equal' : 'different';
}

const bodyOf = (dump: Buffer) => dump.subarray(0, Math.max(0, dump.length - DUMP_TAIL_BYTES));

/** With ASKING: one of both holds the slot as importing. */
async function read(connection: NodeConnection, command: Command): Promise<unknown> {
  const outcomes = await connection.callAll([ASKING, command], { binary: true });
  const last = outcomes.at(-1);
  if (last?.status === 'fulfilled') return last.value;
  throw last?.reason;
}

/** Undefined where DEBUG is not allowed, which is the default since Redis 7. */
async function digestOf(connection: NodeConnection, key: Buffer): Promise<string | undefined> {
  const [outcome] = await connection.callAll([['DEBUG', 'DIGEST-VALUE', key]]);
  return outcome?.status === 'fulfilled' ? String(outcome.value) : undefined;
}

/** The members in one text that is the same for equal values; undefined for a type that has none. */
async function membersOf(connection: NodeConnection, key: Buffer): Promise<string | undefined> {
  const type = String(await read(connection, ['TYPE', key]));
  const how = MEMBERS[type];
  if (how === undefined) return undefined;
  const reply = (await read(connection, how.words(key))) as Buffer[];
  const groups: string[] = [];
  for (let at = 0; at < reply.length; at += how.group) {
    groups.push(
      reply
        .slice(at, at + how.group)
        .map((part) => part.toString('base64'))
        .join(':'),
    );
  }
  return [type, ...(how.ordered ? groups : groups.sort())].join(' ');
}
