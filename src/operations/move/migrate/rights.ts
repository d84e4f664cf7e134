/** Whether the user may do at both masters all that a move, and a way back, may need: asked before a slot is opened. */
import type { Command } from '../../../cluster/node-connection.js';
import { replyErrorOf } from '../../../cluster/node-failure.js';
import { ForgeError } from '../../../errors.js';
import type { NodeRef } from '../../step.js';
import type { Pair } from './pair.js';

/** Any name: the server looks at rights first. */
const KEY = 'forge:rights';
const NO_NUMBER = 'none';

/**
 * Commands that change nothing: what could is refused for a time that is no number, after the rights were looked at. The
 * user of forge is also who the source logs in as, and either may have to send keys back.
 */
const PROBES: readonly Command[] = [
  ['SELECT', 0],
  ['MIGRATE', '127.0.0.1', 1, KEY, 0, NO_NUMBER],
  ['RESTORE-ASKING', KEY, NO_NUMBER, ''],
  ['ASKING'],
  // Also takes back what ASKING has allowed.
  ['DUMP', KEY],
];

/** Of keys that the user may not have, a server says otherwise; which keys there are is not known yet. */
const NO_COMMAND = /^NOPERM .*\bno permissions to run\b/;

/**
 * A right that is missing is found out in the middle else: keys have been copied then, and nobody may send them back.
 * @throws ForgeError `denied` that names what is missing
 */
export async function requireRights({ context, source, target }: Pair): Promise<void> {
  for (const node of [source, target]) {
    const connection = await context.pool.get(node.id);
    const outcomes = await connection.callAll(PROBES);
    const missing = PROBES.flatMap(([name], index) => {
      const outcome = outcomes[index];
      return outcome?.status === 'rejected' && NO_COMMAND.test(replyErrorOf(outcome.reason) ?? '') ? [name] : [];
    });
    if (missing.length > 0) throw lacking(node, missing, context.pool.settings.username ?? 'default');
  }
}

function lacking({ address }: NodeRef, missing: readonly string[], user: string): ForgeError {
  const rules = missing.map((name) => `+${name.toLowerCase()}`).join(' ');
  return new ForgeError('denied', `${address}: the user ${user} may not run ${missing.join(', ')}.`, {
    host: address,
    next: `No slot was opened. On every node: ACL SETUSER ${user} ${rules} (docs/operations.md lists all rights).`,
    details: { missing },
  });
}
