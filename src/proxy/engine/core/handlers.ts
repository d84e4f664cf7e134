import { permission } from '../access/own-commands.js';
import { blocking } from '../blocking/handler.js';
import { admin } from '../broadcast/admin.js';
import { broadcast } from '../broadcast/handler.js';
import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import { Route, type RouteKind } from '../commands/routes.js';
import { runLocal } from '../local/local.js';
import { pubsub } from '../pubsub/handler.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { scan } from '../scan/handler.js';
import { scripting } from '../scripting/handler.js';
import { transaction } from '../transactions/handler.js';
import type { Client } from './client.js';
import { refuseUnsupported } from './refuse.js';
import { sendAnywhere, sendKeyed } from './send.js';
import { split } from './split.js';

/**
 * Serves a command that the client may give, with a right number of arguments. False when it has to wait until the
 * client's earlier commands are answered; nothing has happened then, and it is called again.
 */
export type Handler = (
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  frame: RequestFrame,
) => boolean;

const refused: Handler = (client, entry) => {
  refuseUnsupported(client, entry, entry.refusal);
  return true;
};

const local: Handler = (client, entry, bytes, _start, frame) => {
  if (client.identity !== null && !permission.allows(client, entry)) return !permission.waits;
  if (!runLocal(client, entry, bytes, frame)) return false;
  client.core.countRequest(entry);
  return true;
};

/** What serves each kind of route. */
const BY_ROUTE: Readonly<Record<RouteKind, Handler>> = {
  [Route.keyed]: sendKeyed,
  [Route.splitValues]: split,
  [Route.splitOk]: split,
  [Route.splitSum]: split,
  [Route.anyMaster]: sendAnywhere,
  [Route.local]: local,
  [Route.refused]: refused,
  [Route.admin]: admin,
  [Route.broadcast]: broadcast,
  [Route.scan]: scan,
  [Route.transaction]: transaction,
  [Route.blocking]: blocking,
  [Route.pubsub]: pubsub,
  [Route.scripting]: scripting,
};

/** The same, indexed by the route's number. */
export const HANDLERS: readonly Handler[] = Object.values(Route).map((route) => BY_ROUTE[route]);
