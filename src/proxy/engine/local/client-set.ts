import { Muted } from '../clients/details.js';
import type { Client } from '../core/client.js';
import { nullReply } from '../resp/encode.js';
import type { Arguments } from './local.js';

/** Redis's rule for names: printable ASCII without spaces. */
export function validName(name: string): boolean {
  return /^[!-~]*$/.test(name);
}

export const INVALID_NAME = 'Client names cannot contain spaces, newlines or special characters.';

export function getName(client: Client): void {
  const { core, details, proto } = client;
  client.reply(details.name === '' ? core.text(nullReply(proto)) : core.bulk(details.name));
}

export function setName(client: Client, args: Arguments): void {
  const name = args.text(2);
  if (!validName(name)) {
    client.reply(client.core.text(`-ERR ${INVALID_NAME}\r\n`));
    return;
  }
  client.details.name = name;
  client.reply(client.core.texts.ok);
}

/** CLIENT SETINFO LIB-NAME|LIB-VER value */
export function setInfo(client: Client, args: Arguments): void {
  const { core, details } = client;
  const attribute = args.word(2);
  const value = args.text(3);
  if (attribute !== 'lib-name' && attribute !== 'lib-ver') {
    client.reply(core.text(`-ERR Unrecognized option '${args.text(2).replace(/[\r\n]/g, ' ')}'\r\n`));
  } else if (!validName(value)) {
    client.reply(core.text(`-ERR ${args.text(2)} cannot contain spaces, newlines or special characters.\r\n`));
  } else {
    if (attribute === 'lib-name') details.libName = value;
    else details.libVersion = value;
    client.reply(core.texts.ok);
  }
}

/** CLIENT NO-EVICT ON|OFF, CLIENT NO-TOUCH ON|OFF */
export function setSwitch(client: Client, args: Arguments, name: 'noEvict' | 'noTouch'): void {
  const value = args.word(2);
  if (value !== 'on' && value !== 'off') {
    client.reply(client.core.text('-ERR syntax error\r\n'));
    return;
  }
  client.details[name] = value === 'on';
  client.reply(client.core.texts.ok);
}

/** CLIENT REPLY ON|OFF|SKIP: OFF and SKIP are not answered themselves. */
export function setReply(client: Client, args: Arguments): void {
  const value = args.word(2);
  if (value === 'on') {
    client.muted = Muted.none;
    client.reply(client.core.texts.ok);
  } else if (value === 'off') client.muted = Muted.all;
  else if (value !== 'skip') client.reply(client.core.text('-ERR syntax error\r\n'));
  else if (client.muted === Muted.none) client.muted = Muted.next;
}
