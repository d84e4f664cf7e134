/** Which RDB versions a server takes in RESTORE: asked of the server itself, by keys whose time has long come. */
import type { Command, NodeConnection } from '../../cluster/node-connection.js';
import { replyErrorOf } from '../../cluster/node-failure.js';
import { ForgeError } from '../../errors.js';
import { slotTags } from '../../smoke/key-slot.js';
import { dumpPayload } from '../rdb/dump-payload.js';

/** All that there are, and some to come: Redis counts from 1, Valkey from 80 since its version 9. */
const REDIS_VERSIONS = 24;
const VALKEY_FIRST = 80;
const VALKEY_VERSIONS = 8;
const VERSIONS = [
  ...Array.from({ length: REDIS_VERSIONS }, (_, index) => 1 + index),
  ...Array.from({ length: VALKEY_VERSIONS }, (_, index) => VALKEY_FIRST + index),
];
/** A string of one byte, as RDB has it. */
const VALUE = Buffer.from([1, 0x78]);
/** 1970: a server that takes the value does not keep it. */
const LONG_AGO_MS = 1;

/**
 * Changes nothing.
 * @param slot one that the node serves
 * @throws ForgeError what the node answers where it takes none at all
 */
export async function acceptedVersions(connection: NodeConnection, slot: number): Promise<number[]> {
  const key = `{${slotTags()[slot] ?? ''}}:forge:probe`;
  const commands = VERSIONS.map((version): Command => {
    const payload = dumpPayload({ type: 0, bytes: VALUE, start: 0, end: VALUE.length, version });
    return ['RESTORE', key, LONG_AGO_MS, payload, 'ABSTTL'];
  });
  const outcomes = await connection.callAll(commands);
  const accepted = VERSIONS.filter((_, index) => outcomes[index]?.status === 'fulfilled');
  if (accepted.length > 0) return accepted;
  const [first] = outcomes;
  const reason: unknown = first?.status === 'rejected' ? first.reason : undefined;
  if (reason instanceof ForgeError && reason.kind !== 'refused') throw reason;
  throw new ForgeError(
    'refused',
    `${connection.label} takes no key by RESTORE: ${replyErrorOf(reason) ?? 'no reason given'}.`,
    { host: connection.label, next: 'Look at its log, and at the rights of the user (+restore).' },
  );
}
