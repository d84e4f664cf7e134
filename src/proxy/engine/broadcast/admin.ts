import { latin1, parseDecimal } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Handler } from '../core/handlers.js';
import { printable, refuseArity, refuseUnsupported, replyError } from '../core/refuse.js';
import { send, sendAnywhere, sendKeyed } from '../core/send.js';
import { broadcast, planOf } from './handler.js';

/** They turn a connection into a replication link. Upstream connections are shared, so nothing can allow these. */
const TAKE_THE_CONNECTION = new Set(['sync', 'psync', 'replconf', 'cluster|syncslots']);

/** Their third argument is a slot: only its master knows the answer. */
const OF_A_SLOT = new Set(['cluster|countkeysinslot', 'cluster|getkeysinslot']);

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
  if (command.spec.keys.length > 0) return sendKeyed(client, command, bytes, start, frame);
  const slot = OF_A_SLOT.has(command.name) ? parseDecimal(bytes, frame.starts[2], frame.ends[2]) : Number.NaN;
  if (slot >= 0 && slot < core.router.keySpace.slots) {
    core.countRequest(command);
    send(client, command, bytes, start, frame.end, core.router, slot);
    return true;
  }
  const { request, response } = command.spec;
  if (planOf(command.name, request, response) === null) return sendAnywhere(client, command, bytes, start, frame);
  return broadcast(client, command, bytes, start, frame);
};
