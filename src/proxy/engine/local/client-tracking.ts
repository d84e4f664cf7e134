import type { Client } from '../core/client.js';
import { bulk, mapReply } from '../resp/encode.js';
import type { Arguments } from './local.js';

const NOT_TRACKING =
  'CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled';

const REFUSED =
  'CLIENT TRACKING is not supported by the proxy: nodes would tell it about keys, not the client; keep caches fresh by expiry';

/** CLIENT TRACKING ON|OFF …: it is never on. */
export function tracking(client: Client, args: Arguments): void {
  const state = args.word(2);
  if (state === 'off' && args.count === 3) client.reply(client.core.texts.ok);
  else if (state === 'on') client.reply(client.core.text(`-ERR ${REFUSED}\r\n`));
  else client.reply(client.core.text('-ERR syntax error\r\n'));
}

/** CLIENT TRACKINGINFO: that of a connection without tracking. */
export function trackingInfo(client: Client): void {
  const { core, proto } = client;
  const text = mapReply(proto, [
    ['flags', `${proto === 3 ? '~' : '*'}1\r\n${bulk('off')}`],
    ['redirect', ':-1\r\n'],
    ['prefixes', '*0\r\n'],
  ]);
  client.reply(core.text(text));
}

/** CLIENT CACHING: what Redis says when there is no tracking. */
export function caching(client: Client): void {
  client.reply(client.core.text(`-ERR ${NOT_TRACKING}\r\n`));
}
