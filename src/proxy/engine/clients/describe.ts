import type { Client } from '../core/client.js';
import { Hold } from '../core/hold.js';

/** The letters of Redis's `flags`; `N` when there is nothing to say. */
function flags(client: Client): string {
  const { details } = client;
  const letters = [
    details.monitor ? 'O' : '',
    isSubscriber(client) ? 'P' : '',
    details.queued >= 0 ? 'x' : '',
    client.hold & Hold.blocked ? 'b' : '',
    client.closing ? 'c' : '',
    details.noEvict ? 'e' : '',
    details.noTouch ? 'T' : '',
  ].join('');
  return letters === '' ? 'N' : letters;
}

export function isSubscriber({ details }: Client): boolean {
  return details.channels + details.patterns + details.shardChannels > 0;
}

/**
 * The line of CLIENT INFO and CLIENT LIST, with Redis 8's fields in its order. What has no meaning here (`fd`, the sizes
 * of Redis's own buffers) is -1 or 0.
 */
export function describe(client: Client): string {
  const { details, output, core } = client;
  const unread = client.carry?.length ?? 0;
  const seconds = (sinceMs: number) => Math.max(0, Math.floor((core.nowMs - sinceMs) / 1000));
  const fields: [string, string | number][] = [
    ['id', client.id],
    ['addr', client.address],
    ['laddr', details.localAddress],
    ['fd', -1],
    ['name', details.name],
    ['age', seconds(client.createdMs)],
    ['idle', seconds(client.lastActiveMs)],
    ['flags', flags(client)],
    ['db', 0],
    ['sub', details.channels],
    ['psub', details.patterns],
    ['ssub', details.shardChannels],
    ['multi', details.queued],
    ['watch', details.watched],
    ['qbuf', unread],
    ['qbuf-free', 0],
    ['argv-mem', 0],
    ['multi-mem', 0],
    ['rbs', 0],
    ['rbp', 0],
    ['obl', 0],
    ['oll', output.bytes > 0 ? 1 : 0],
    ['omem', output.bytes],
    ['tot-mem', unread + output.bytes],
    ['events', output.bytes > 0 ? 'rw' : 'r'],
    ['cmd', client.lastEntry?.name ?? 'NULL'],
    ['user', client.user],
    ['redir', -1],
    ['resp', client.proto],
    ['lib-name', details.libName],
    ['lib-ver', details.libVersion],
    ['worker', core.settings.worker],
  ];
  return fields.map(([name, value]) => `${name}=${value}`).join(' ');
}
