import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import type { Handler } from '../core/handlers.js';
import { detach } from '../core/input.js';
import { refuse } from '../core/refuse.js';
import { encodeCommand } from '../resp/encode.js';
import { endWatch } from './execute.js';
import { CROSS_SLOT, slotOfKeys } from './keys.js';
import { Transaction } from './transaction.js';
import { digestsOf, watchOf } from './watch.js';
import { Watching } from './watching.js';

/** `MULTI` and `EXEC`, encoded once a thread. */
let multiBytes: Bytes | null = null;
let execBytes: Bytes | null = null;

const begin = ({ runtime: { allocate } }: Core): [Bytes, Bytes] => {
  multiBytes ??= encodeCommand(['MULTI'], allocate);
  execBytes ??= encodeCommand(['EXEC'], allocate);
  return [multiBytes, execBytes];
};

const multi: Handler = (client, entry) => {
  const { core } = client;
  core.countRequest(entry);
  client.mode = new Transaction(client, ...begin(core));
  client.reply(core.texts.ok);
  return true;
};

function refuseTooMany(client: Client, entry: CommandEntry): void {
  refuse(client, entry, `ERR a client of the proxy can watch at most ${client.core.limits.watchedKeysMax} keys`);
}

const watch: Handler = (client, entry, bytes, start, frame) => {
  const { core } = client;
  // It goes another way than what the client sent before, which must come first.
  if (client.head !== null) return false;
  const { watchedKeysMax } = core.limits;
  if (frame.count - 1 > watchedKeysMax) {
    refuseTooMany(client, entry);
    return true;
  }
  const place = slotOfKeys(client, entry, bytes, start, frame);
  if (place === null) return true;
  const watched = watchOf(client);
  if (watched !== null && (watched.slot !== place.slot || watched.router !== place.router)) {
    refuse(client, entry, CROSS_SLOT);
    return true;
  }
  const digests = digestsOf(place.bytes, place.frame);
  if (watched !== null && watched.countWith(digests) > watchedKeysMax) {
    refuseTooMany(client, entry);
    return true;
  }
  core.countRequest(entry);
  if (watched !== null && !watched.holds) {
    // EXEC will say that something has changed, whatever is watched besides.
    client.reply(core.texts.ok);
    return true;
  }
  const command = detach(core.runtime.allocate, place.bytes, place.start, place.frame.end);
  new Watching(client, entry, command, place.router, place.slot, digests);
  return true;
};

const unwatch: Handler = (client, entry) => {
  if (watchOf(client) !== null && client.head !== null) return false;
  client.core.countRequest(entry);
  endWatch(client, entry, client.core.texts.ok, false);
  return true;
};

/** MULTI, EXEC, DISCARD, WATCH, UNWATCH. Within a transaction they come to `Transaction.admit`. */
export const transaction: Handler = (client, entry, bytes, start, frame) => {
  switch (entry.name) {
    case 'multi':
      return multi(client, entry, bytes, start, frame);
    case 'watch':
      return watch(client, entry, bytes, start, frame);
    case 'unwatch':
      return unwatch(client, entry, bytes, start, frame);
    default:
      refuse(client, entry, `ERR ${entry.name.toUpperCase()} without MULTI`);
      return true;
  }
};
