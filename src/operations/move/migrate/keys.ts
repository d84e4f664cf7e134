/** Which keys a slot holds, and how large they are. */
import type { Command, NodeConnection } from '../../../cluster/node-connection.js';
import { replyErrorOf } from '../../../cluster/node-failure.js';
import type { SizedKey } from './batches.js';
import type { Pace } from './pace.js';

/** Slots whose keys are counted in one write: the node's clients have their turn in between. */
const COUNTED_AT_ONCE = 512;
const SLOTS_READ_FIRST = 1;
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

/** Up to so many keys of each slot; empty for a slot without keys. */
export function listKeys(connection: NodeConnection, slots: readonly number[], most: number): Promise<Buffer[][]> {
  return requireAll(
    connection,
    slots.map((slot) => ['CLUSTER', 'GETKEYSINSLOT', slot, most]),
    { binary: true },
  );
}

/**
 * Some keys of each slot, with the sizes in bytes; 0 for a key that has expired meanwhile, or where MEMORY is not allowed. One
 * command per slot where the node has EVAL_RO (Redis 7) and allows it, else one per key.
 */
export async function readKeys(
  connection: NodeConnection,
  slots: readonly number[],
  { importing = false, pace }: { readonly importing?: boolean; readonly pace: Pace },
): Promise<SizedKey[][]> {
  const lists: SizedKey[][] = [];
  let found = 0;
  while (lists.length < slots.length) {
    const done = lists.length;
    const atOnce = done === 0 ? SLOTS_READ_FIRST : Math.floor((pace.keysReadAtOnce * done) / Math.max(1, found));
    const some = slots.slice(done, done + Math.min(SLOTS_READ_MAX, Math.max(1, atOnce)));
    const scripts = some.map((slot): Command => ['EVAL_RO', READ_SCRIPT, 0, slot, pace.keysReadOfSlot]);
    const outcomes = await askEach(connection, scripts, importing);
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled') {
        const [keys, sizes] = outcome.value as [Buffer[], number[]];
        lists.push(keys.map((key, place) => ({ key, bytes: sizes[place] ?? 0 })));
      } else if (replyErrorOf(outcome.reason) === undefined) throw outcome.reason;
      else lists.push(await readOneByOne(connection, some[index] as number, { importing, pace }));
      found += lists.at(-1)?.length ?? 0;
    }
  }
  return lists;
}

async function readOneByOne(
  connection: NodeConnection,
  slot: number,
  { importing, pace }: { readonly importing: boolean; readonly pace: Pace },
): Promise<SizedKey[]> {
  const [keys = []] = await listKeys(connection, [slot], pace.keysReadOfSlot);
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
