import type { Client } from '../core/client.js';
import { replyError } from '../core/refuse.js';
import type { Arguments } from './local.js';

/** AUTH [username] password */
export function auth(client: Client, args: Arguments): void {
  const { core } = client;
  if (args.count > 3) {
    client.reply(core.text('-ERR syntax error\r\n'));
    return;
  }
  const username = args.count === 3 ? args.text(1) : null;
  const password = args.bytesOf(args.count - 1, core.runtime.allocate);
  core.access.logins.begin(client, username, password, (error) => {
    if (error === '') client.reply(core.texts.ok);
    else replyError(client, error);
  });
}
