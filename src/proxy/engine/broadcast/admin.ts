import { aclCommand } from '../access/acl-command.js';
import { type Bytes, equalsIgnoreCase, latin1, parseDecimal } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Handler } from '../core/handlers.js';
import { printable, refuseArity, refuseUnsupported, replyError } from '../core/refuse.js';
import { send, sendAnywhere, sendKeyed } from '../core/send.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { broadcast, planOf } from './handler.js';

/** They turn a connection into a replication link. Upstream connections are shared, so nothing can allow these. */
const TAKE_THE_CONNECTION = new Set(['sync', 'psync', 'replconf', 'cluster|syncslots']);

/** Their third argument is a slot: only its master knows the answer. */
const OF_A_SLOT = new Set(['cluster|countkeysinslot', 'cluster|getkeysinslot']);

/** The slot that a command names in a way of its own; NaN for others. */
function slotOf(client: Client, command: CommandEntry, bytes: Bytes, frame: RequestFrame): number {
  if (OF_A_SLOT.has(command.name)) return parseDecimal(bytes, frame.starts[2], frame.ends[2]);
  // MIGRATE's key is its third argument; when that is empty, the keys stand behind KEYS.
  if (command.name !== 'migrate' || frame.starts[3] !== frame.ends[3]) return Number.NaN;
  for (let i = 6; i + 1 < frame.count; i++) {
    if (!equalsIgnoreCase(bytes, frame.starts[i], frame.ends[i], 'keys')) continue;
    return client.core.router.keySpace.slotOf(bytes, frame.starts[i + 1], frame.ends[i + 1]);
  }
  return Number.NaN;
}

/**
 * Commands that administer a node. Refused, unless `admin_commands` names them, or their container; then a command with
 * keys goes where they are, one for all nodes or all shards there, and any other to one master.
 */
export const admin: Handler = (client, entry, bytes, start, frame) => {
  const { core } = client;
  const [container] = entry.name.split('|') as [string];
  const word = frame.count > 1 ? latin1(bytes, frame.starts[1], frame.ends[1]).toLowerCase() : '';
  const names = [container, `${container}|${word}`];
  const named = names.some((name) => core.settings.adminCommands.includes(name));
  if (!named && aclCommand(client, entry, bytes, frame)) return true;
  if (!named || names.some((name) => TAKE_THE_CONNECTION.has(name))) {
    refuseUnsupported(client, entry, entry.refusal);
    return true;
  }
  let command: CommandEntry = entry;
  if (entry.spec.container) {
    const sub = core.catalog.findSubcommand(entry, bytes, frame.starts[1], frame.ends[1]);
    if (sub === null) {
      core.countRequest(null);
      const shown = printable(bytes, frame.starts[1], frame.ends[1]);
      replyError(client, `ERR unknown subcommand '${shown}'. Try ${entry.name.toUpperCase()} HELP.`);
      return true;
    }
    command = sub;
  }
  if (!command.accepts(frame.count)) {
    refuseArity(client, command);
    return true;
  }
  const slot = slotOf(client, command, bytes, frame);
  if (command.spec.keys.length > 0 && Number.isNaN(slot)) return sendKeyed(client, command, bytes, start, frame);
  if (slot >= 0 && slot < core.router.keySpace.slots) {
    core.countRequest(command);
    send(client, command, bytes, start, frame.end, core.router, slot);
    return true;
  }
  const { request, response } = command.spec;
  if (planOf(command.name, request, response) === null) return sendAnywhere(client, command, bytes, start, frame);
  return broadcast(client, command, bytes, start, frame);
};
