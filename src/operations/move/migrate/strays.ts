/** Keys that the target holds in slots that it does not serve: left over from something that went wrong before. */
import { ForgeError } from '../../../errors.js';
import { showKeys } from './failures.js';
import { countKeys, listKeys } from './keys.js';
import type { Pair } from './pair.js';
import { carryHome, dropStrays } from './send-home.js';

/** Slots whose stray keys are named. */
const NAMED_MAX = 5;

/**
 * What becomes of them is the operator's choice (`MoveControl.keep`). Looked for before anything is opened: once a slot has moved, they would come to life beside, or instead of, those of
 * the source.
 * @throws ForgeError `refused` that names them, when no choice was made
 */
export async function requireNoStrays(pair: Pair, slots: readonly number[]): Promise<void> {
  const { context, source, target } = pair;
  const connection = await context.pool.get(target.id);
  const counts = await countKeys(connection, slots);
  const strayed = slots.filter((_, index) => (counts[index] ?? 0) > 0);
  if (strayed.length === 0) return;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const { keep } = context.move;
  if (keep !== undefined) {
    const done = keep === 'owner' ? 'dropped' : `taken to ${source.address}`;
    context.report({
      type: 'warning',
      text: `${total} keys of ${strayed.length} slots are ${done}: ${target.address} holds them unseen`,
    });
    return await (keep === 'owner' ? dropStrays : carryHome)(pair.reversed(), strayed);
  }
  const keys = (await listKeys(connection, strayed.slice(0, NAMED_MAX), NAMED_MAX)).flat();
  throw new ForgeError(
    'refused',
    `${target.address} holds keys of slots that ${source.address} serves: ${showKeys(keys)}.`,
    {
      host: target.address,
      next: `No slot was opened. The same command with --keep owner drops them, since clients see only what ${source.address} has; with --keep other they count, and go to ${source.address} first.`,
      details: { slots: strayed, keys: total },
    },
  );
}
