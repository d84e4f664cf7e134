import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import { Route } from '../commands/routes.js';
import type { Client } from '../core/client.js';
import { ADMIT_DONE, ADMIT_PASS, ADMIT_WAIT, type Mode } from '../core/mode.js';
import { refusalKind, refuse } from '../core/refuse.js';
import type { RequestFrame } from '../resp/request-framer.js';

const CONTEXT = 'only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context';
const EMPTY_PONG = '*2\r\n$4\r\npong\r\n$0\r\n\r\n';

/** A RESP2 client with subscriptions: a reply that is none of theirs could be taken for a message. */
class SubscribedMode implements Mode {
  admit(client: Client, entry: CommandEntry, bytes: Bytes, _start: number, frame: RequestFrame): number {
    if (client.proto !== 2) return ADMIT_PASS;
    const { name } = entry;
    if (entry.route === Route.pubsub && name.endsWith('subscribe')) return ADMIT_PASS;
    // What waits for a node may leave the client in this state or out of it.
    if (client.head !== null) return ADMIT_WAIT;
    if (name === 'quit' || name === 'reset') return ADMIT_PASS;
    if (name === 'ping' && frame.count <= 2) {
      client.core.countRequest(entry);
      client.reply(pong(client, bytes, frame));
      return ADMIT_DONE;
    }
    if (name === 'ping') return ADMIT_PASS;
    const sub =
      frame.count < 2 ? null : client.core.catalog.findSubcommand(entry, bytes, frame.starts[1], frame.ends[1]);
    // Redis looks for an unknown subcommand first.
    if (entry.spec.container && sub === null && !entry.subcommand) return ADMIT_PASS;
    refuse(client, entry, `${refusalKind(entry)} Can't execute '${sub?.name ?? name}': ${CONTEXT}`);
    return ADMIT_DONE;
  }
}

export const subscribedMode: Mode = new SubscribedMode();

/** In RESP2 an answer to PING looks like a message. */
function pong(client: Client, bytes: Bytes, frame: RequestFrame): Bytes {
  const { core } = client;
  if (frame.count === 1) return core.text(EMPTY_PONG);
  const start = frame.starts[1];
  const end = frame.ends[1];
  const head = core.text(`*2\r\n$4\r\npong\r\n$${end - start}\r\n`);
  const reply = core.runtime.allocate(head.length + end - start + 2);
  head.copy(reply, 0, 0, head.length);
  bytes.copy(reply, head.length, start, end);
  reply[reply.length - 2] = 13;
  reply[reply.length - 1] = 10;
  return reply;
}
