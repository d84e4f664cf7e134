import { ClientDetails, Muted } from '../clients/details.js';
import type { Client } from '../core/client.js';

/**
 * RESET: the connection is as if it had just been made, and must log in again. False while earlier commands are on
 * their way: they are answered first, in the RESP version that they were given in.
 */
export function reset(client: Client): boolean {
  if (client.head !== null) return false;
  const { core, details } = client;
  // A transaction, subscriptions, MONITOR: whoever keeps something for the client gives it back.
  for (const giveBack of client.belongings) giveBack();
  client.belongings.clear();
  client.mode = null;
  client.muted = Muted.none;
  client.proto = 2;
  core.access.welcome(client);
  const fresh = new ClientDetails();
  // Redis keeps what the library said of itself.
  Object.assign(details, fresh, {
    libName: details.libName,
    libVersion: details.libVersion,
    localAddress: details.localAddress,
  });
  client.reply(core.text('+RESET\r\n'));
  return true;
}
