/** The users that a backup has: shown, and put in place only when that is asked for. */
import { settleBounded } from '../../cluster/bounded.js';
import { replyErrorOf } from '../../cluster/node-failure.js';
import type { NodePool } from '../../cluster/node-pool.js';
import { ForgeError } from '../../errors.js';
import { parseSettings, SETTINGS_MAX_BYTES } from '../settings.js';
import type { BackupArchive } from './archive.js';

const PARALLEL_MAX = 16;
const NO_FILE = /not configured to use an ACL file/i;

export interface RecordedUser {
  readonly name: string;
  /** As ACL SETUSER takes them; passwords are hashes. */
  readonly rules: readonly string[];
}

/** Lines of ACL LIST. Of a name that nodes have differently, the first. Pure. */
export function usersOf(lines: readonly string[]): RecordedUser[] {
  const users = new Map<string, RecordedUser>();
  for (const line of lines) {
    const [word, name, ...rules] = line.trim().split(' ');
    if (word === 'user' && name !== undefined && name !== '' && !users.has(name)) users.set(name, { name, rules });
  }
  return [...users.values()];
}

/** None where the backup has no settings, or its user was not allowed to read them. */
export async function readUsers(archive: BackupArchive, signal: AbortSignal): Promise<RecordedUser[]> {
  const { settings } = archive.manifest;
  if (settings === undefined || settings.plainBytes > SETTINGS_MAX_BYTES) return [];
  const pieces: Buffer[] = [];
  for await (const piece of await archive.open(settings, signal)) pieces.push(piece as Buffer);
  const { nodes } = parseSettings(Buffer.concat(pieces).toString('utf8'), archive.placeOf(settings));
  return usersOf(nodes.flatMap(({ users }) => users ?? []));
}

/**
 * Puts users in place on every node, over those of their names. The default user, and the one that does this, stay: a
 * mistake there would lock everybody out.
 * @returns the names of those that were put there
 * @throws ForgeError of the first node that does not take them
 */
export async function restoreUsers(
  pool: NodePool,
  nodeIds: readonly string[],
  users: readonly RecordedUser[],
): Promise<string[]> {
  const own = pool.settings.username ?? 'default';
  const wanted = users.filter(({ name }) => name !== 'default' && name !== own);
  const outcomes = await settleBounded(nodeIds, PARALLEL_MAX, async (id) => {
    const connection = await pool.get(id);
    for (const { name, rules } of wanted) await connection.call('ACL', 'SETUSER', name, 'reset', ...rules);
    // Without a file of users, they live as long as the server; that is how this node is set up.
    const [saved] = wanted.length > 0 ? await connection.callAll([['ACL', 'SAVE']]) : [];
    if (saved?.status === 'rejected' && !NO_FILE.test(replyErrorOf(saved.reason) ?? '')) throw saved.reason;
  });
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') continue;
    const { reason } = outcome;
    if (!(reason instanceof ForgeError)) throw reason;
    throw new ForgeError(reason.kind, `All keys are restored, but not all users: ${reason.message}`, {
      host: reason.host,
      next: ['Mend that, and run the same command again.', ...reason.next],
      cause: reason,
    });
  }
  return wanted.map(({ name }) => name);
}
