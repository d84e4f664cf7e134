/** Keys that the target holds in slots that it does not serve: left over from something that went wrong before. */
import { ForgeError } from '../../../errors.js';
import { showKeys } from './failures.js';
import { countKeys, listKeys } from './keys.js';
import type { Pair } from './pair.js';

/** Slots whose stray keys are named. */
const NAMED_MAX = 5;

/**
 * Looked for before anything is opened: once a slot has moved, they would come to life beside, or instead of, those of
 * the source.
 * @throws ForgeError `refused` that names them
 */
export async function requireNoStrays({ context, source, target }: Pair, slots: readonly number[]): Promise<void> {
  const connection = await context.pool.get(target.id);
  const counts = await countKeys(connection, slots);
  const strayed = slots.filter((_, index) => (counts[index] ?? 0) > 0);
  if (strayed.length === 0) return;
  const keys = (await listKeys(connection, strayed.slice(0, NAMED_MAX), NAMED_MAX)).flat();
  throw new ForgeError(
    'refused',
    `${target.address} holds keys of slots that ${source.address} serves: ${showKeys(keys)}.`,
    {
      host: target.address,
      next: 'No slot was opened. Look at forge cluster check; forge cluster fix brings such keys home.',
      details: { slots: strayed, keys: counts.reduce((sum, count) => sum + count, 0) },
    },
  );
}
