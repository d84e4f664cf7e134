/** Many commands without waiting: every reply must come to its own command. */

import type { SmokeClient } from '../client.js';
import { expectReply } from '../expect.js';
import { spreadSlots } from '../keys.js';
import type { SmokeContext, StepFinding } from '../types.js';

const KEYS = 250;
const COMMANDS_PER_KEY = 4;

export async function pipeline({ client, keys }: SmokeContext & { client: SmokeClient }): Promise<StepFinding> {
  const chosen = spreadSlots(KEYS).map((slot) => keys.key(slot, 'pipeline'));
  const started = performance.now();
  const replies = await Promise.all(
    chosen.flatMap(({ slot, name }, index) => [
      client.send(slot, 'SET', name, index * 10, 'EX', keys.ttlS),
      client.send(slot, 'INCR', name),
      client.send(slot, 'GET', name),
      client.send(slot, 'INCRBY', name, 5),
    ]),
  );
  const tookMs = Math.round(performance.now() - started);
  chosen.forEach((key, index) => {
    const own = replies.slice(index * COMMANDS_PER_KEY, (index + 1) * COMMANDS_PER_KEY);
    const value = index * 10;
    expectReply(own, ['OK', value + 1, String(value + 1), value + 6], 'A pipeline of SET, INCR, GET, INCRBY', key);
  });
  const commands = KEYS * COMMANDS_PER_KEY;
  return {
    summary: `${commands} commands at once over ${KEYS} slots, every reply in its place, ${tookMs} ms`,
    data: { commands, slots: KEYS, tookMs },
  };
}
