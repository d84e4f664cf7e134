import type { Client } from '../core/client.js';
import { Counter } from '../stats.js';
import type { Arguments } from './local.js';

/** INFO [section …]: the endpoint as one standalone server, which is what applications take it for. */
export function info(client: Client, args: Arguments): void {
  const core = client.core;
  const wanted = new Set<string>();
  for (let i = 1; i < args.count; i++) wanted.add(args.word(i));
  const all = wanted.size === 0 || ['all', 'default', 'everything'].some((word) => wanted.has(word));
  const uptime = Math.floor((core.nowMs - core.startedMs) / 1000);
  const stat = (counter: number) => core.total(counter);
  const sections: [string, string, [string, string | number][]][] = [
    [
      'server',
      'Server',
      [
        ['redis_version', core.facts.redisVersion],
        ['redis_mode', 'standalone'],
        ['redisforge_version', core.settings.version],
        ['process_id', core.settings.processId],
        ['tcp_port', core.settings.listenPort],
        ['uptime_in_seconds', uptime],
        ['uptime_in_days', Math.floor(uptime / 86400)],
      ],
    ],
    [
      'clients',
      'Clients',
      [
        ['connected_clients', stat(Counter.downstream_cx_active)],
        ['blocked_clients', 0],
      ],
    ],
    ['persistence', 'Persistence', [['loading', 0]]],
    [
      'stats',
      'Stats',
      [
        ['total_connections_received', stat(Counter.downstream_cx_total)],
        ['total_commands_processed', stat(Counter.downstream_rq_total)],
        ['total_net_input_bytes', stat(Counter.downstream_cx_rx_bytes_total)],
        ['total_net_output_bytes', stat(Counter.downstream_cx_tx_bytes_total)],
      ],
    ],
    [
      'replication',
      'Replication',
      [
        ['role', 'master'],
        ['connected_slaves', 0],
      ],
    ],
    ['cluster', 'Cluster', [['cluster_enabled', 0]]],
  ];
  const text = sections
    .filter(([key]) => all || wanted.has(key))
    .map(([, title, fields]) => `# ${title}\r\n${fields.map(([name, value]) => `${name}:${value}\r\n`).join('')}`)
    .join('\r\n');
  client.reply(core.bulk(text));
}
