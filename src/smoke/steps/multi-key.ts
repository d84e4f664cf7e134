/** MSET, MGET, EXISTS and DEL over keys in many slots. A cluster's node takes one slot at a time: there they are split. */

import type { SmokeClient } from '../client.js';
import { expectReply } from '../expect.js';
import { type SmokeKey, spreadSlots } from '../keys.js';
import type { SmokeContext, StepFinding } from '../types.js';

const SLOTS = 48;
const KEYS_PER_SLOT = 2;

export async function multiKey({ client, keys }: SmokeContext & { client: SmokeClient }): Promise<StepFinding> {
  const all = spreadSlots(SLOTS).flatMap((slot) =>
    Array.from({ length: KEYS_PER_SLOT }, (_, index) => keys.key(slot, `multi-${index}`)),
  );
  // Interleaved, so that an endpoint has to put the shards' replies back into the order of the keys.
  const shuffled = all.map((_, index) => all[(index * 37) % all.length] as SmokeKey);
  const groups = client.oneSlotOnly ? bySlot(all) : [shuffled];
  const missing = 'never written';
  await Promise.all(
    groups.map(async (group) => {
      const slot = group[0]?.slot ?? 0;
      const names = group.map(({ name }) => name);
      const send = (command: string, ...args: string[]) => client.send(slot, command, ...args);
      const absent = keys.key(slot, missing, 'read').name;
      // MSET takes no TTL: the keys get theirs in the same breath.
      const [written, ...limited] = await Promise.all([
        send('MSET', ...names.flatMap((name, index) => [name, `v${index}`])),
        ...group.map((key) => client.send(key.slot, 'EXPIRE', key.name, keys.ttlS)),
      ]);
      expectReply(written, 'OK', 'MSET');
      const ones = group.map(() => 1);
      expectReply(limited, ones, 'EXPIRE');
      const expected = [...names.map((_, index) => `v${index}`), null];
      expectReply(await send('MGET', ...names, absent), expected, 'MGET');
      expectReply(await send('EXISTS', ...names, absent), names.length, 'EXISTS');
      expectReply(await send('DEL', ...names, absent), names.length, 'DEL');
      expectReply(
        await send('MGET', ...names),
        names.map(() => null),
        'MGET after DEL',
      );
    }),
  );
  const how = client.oneSlotOnly ? 'one command per slot, as a node demands' : 'one command over all of them';
  return {
    summary: `${all.length} keys in ${SLOTS} slots, ${how}`,
    data: { keys: all.length, slots: SLOTS, split: client.oneSlotOnly },
  };
}

function bySlot(keys: readonly SmokeKey[]): SmokeKey[][] {
  const groups = new Map<number, SmokeKey[]>();
  for (const key of keys) groups.set(key.slot, [...(groups.get(key.slot) ?? []), key]);
  return [...groups.values()];
}
