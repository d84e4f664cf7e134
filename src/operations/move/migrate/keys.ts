/** Which keys a slot holds, and how large they are. */
import type { Command, NodeConnection } from '../../../cluster/node-connection.js';
import { replyErrorOf } from '../../../cluster/node-failure.js';
import type { SizedKey } from './batches.js';

/** Keys of one slot that are read at once. */
export const KEYS_READ_MAX = 250;
/** Slots whose keys are counted in one write: the node's clients have their turn in between. */
const COUNTED_AT_ONCE = 512;
/** Keys that are read in one write, by how many the slots before had: some milliseconds, for which clients wait. */
const KEYS_READ_AT_ONCE = 400;
const SLOTS_READ_FIRST = 2;
const SLOTS_READ_MAX = 16;
/** Changes nothing, and looks at keys of one slot only; one that cannot be measured has no size. */
const READ_SCRIPT = `local keys = redis.call('CLUSTER', 'GETKEYSINSLOT', ARGV[1], ARGV[2])
local sizes = {}
for i, key in ipairs(keys) do
  local size = redis.pcall('MEMORY', 'USAGE', key)
  sizes[i] = type(size) == 'number' and size or 0
end
return {keys, sizes}`;
const ASKING: Command = ['ASKING'];

/** Up to 250 keys of each slot; empty for a slot without keys. */
export function listKeys(connection: NodeConnection, slots: readonly number[]): Promise<Buffer[][]> {
  return requireAll(
    connection,
    slots.map((slot) => ['CLUSTER', 'GETKEYSINSLOT', slot, KEYS_READ_MAX]),
    { binary: true },
  );
}

/**
 * Like `listKeys`, with the sizes in bytes; 0 for a key that has expired meanwhile, or where MEMORY is not allowed. One
 * command per slot where the node has EVAL_RO (Redis 7) and allows it, else one per key.
 */
export async function readKeys(
  connection: NodeConnection,
  slots: readonly number[],
  { importing = false }: { importing?: boolean } = {},
): Promise<SizedKey[][]> {
  const lists: SizedKey[][] = [];
  let found = 0;
  while (lists.length < slots.length) {
    const done = lists.length;
    const atOnce = done === 0 ? SLOTS_READ_FIRST : Math.floor((KEYS_READ_AT_ONCE * done) / Math.max(1, found));
    const some = slots.slice(done, done + Math.min(SLOTS_READ_MAX, Math.max(1, atOnce)));
    const scripts = some.map((slot): Command => ['EVAL_RO', READ_SCRIPT, 0, slot, KEYS_READ_MAX]);
    const outcomes = await askEach(connection, scripts, importing);
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled') {
        const [keys, sizes] = outcome.value as [Buffer[], number[]];
        lists.push(keys.map((key, place) => ({ key, bytes: sizes[place] ?? 0 })));
      } else if (replyErrorOf(outcome.reason) === undefined) throw outcome.reason;
      else lists.push(await readOneByOne(connection, some[index] as number, importing));
      found += lists.at(-1)?.length ?? 0;
    }
  }
  return lists;
}

async function readOneByOne(connection: NodeConnection, slot: number, importing: boolean): Promise<SizedKey[]> {
  const [keys = []] = await listKeys(connection, [slot]);
  const sizes = await sizesOneByOne(connection, keys, importing);
  return keys.map((key, place) => ({ key, bytes: sizes[place] ?? 0 }));
}

async function sizesOneByOne(
  connection: NodeConnection,
  keys: readonly Buffer[],
  importing: boolean,
): Promise<number[]> {
  const commands = keys.map((key): Command => ['MEMORY', 'USAGE', key]);
  const outcomes = await askEach(connection, commands, importing);
  return outcomes.map((outcome) => {
    if (outcome.status === 'fulfilled') return Number(outcome.value ?? 0);
    if (replyErrorOf(outcome.reason) === undefined) throw outcome.reason;
    return 0;
  });
}

/** A node that holds the slots as importing answers only after ASKING. */
async function askEach(
  connection: NodeConnection,
  commands: readonly Command[],
  importing: boolean,
): Promise<PromiseSettledResult<unknown>[]> {
  if (!importing) return connection.callAll(commands, { binary: true });
  const outcomes = await connection.callAll(
    commands.flatMap((command) => [ASKING, command]),
    { binary: true },
  );
  return outcomes.filter((_, index) => index % 2 === 1);
}

/** How many keys each slot holds. */
export async function countKeys(connection: NodeConnection, slots: readonly number[]): Promise<number[]> {
  const counts: number[] = [];
  for (let at = 0; at < slots.length; at += COUNTED_AT_ONCE) {
    const some = slots.slice(at, at + COUNTED_AT_ONCE);
    const commands = some.map((slot): Command => ['CLUSTER', 'COUNTKEYSINSLOT', slot]);
    counts.push(...(await requireAll<number>(connection, commands)));
  }
  return counts;
}

/** The replies to all; throws the first failure. */
export async function requireAll<Reply>(
  connection: NodeConnection,
  commands: readonly Command[],
  options: { binary?: boolean } = {},
): Promise<Reply[]> {
  const outcomes = await connection.callAll(commands, options);
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value as Reply;
  });
}
