/** Puts right the one setting that a run, killed in a certain half second, leaves changed (see `temporary-setting.ts`). */
import { ForgeError } from '../../errors.js';
import type { Member, Mutate } from './member.js';
import { NODE_TIMEOUT } from './temporary-setting.js';

export function leftovers(members: readonly Member[]): Member[] {
  return members.filter(({ nodeTimeoutMs }) => nodeTimeoutMs === NODE_TIMEOUT.value);
}

/** The value that all other nodes have; a run changes the setting only where its replicas tell what it was. */
export function usualNodeTimeout(members: readonly Member[]): number | undefined {
  const values = new Set(members.flatMap(({ nodeTimeoutMs = NODE_TIMEOUT.value }) => nodeTimeoutMs));
  values.delete(NODE_TIMEOUT.value);
  const [value] = values;
  return values.size === 1 ? value : undefined;
}

export async function repairLeftovers(members: readonly Member[], mutate: Mutate): Promise<void> {
  const left = leftovers(members);
  const [first] = left;
  if (first === undefined) return;
  const usual = usualNodeTimeout(members);
  if (usual === undefined) {
    throw new ForgeError(
      'refused',
      `${left.map(({ label }) => label).join(', ')}: an interrupted run left ${NODE_TIMEOUT.name} at ${NODE_TIMEOUT.value} ms, and the other nodes do not agree on what it was.`,
      {
        host: first.label,
        next: `Set it back (CONFIG SET ${NODE_TIMEOUT.name} 15000 is the default), then run again.`,
      },
    );
  }
  for (const member of left) await mutate(member, 'CONFIG', 'SET', NODE_TIMEOUT.name, usual);
}
