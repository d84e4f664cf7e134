// The proxy with everything on, as a service would have it.
import { stringify } from 'yaml';

export const USERNAME = 'app';
export const PASSWORD = 'soak-password';

/** A configuration; each `edition` differs from the one before, so that a reload has something to do. */
export function configuration({ nodes, port, admin, workers, accessLog, edition }) {
  return stringify({
    workers,
    admin: { address: `127.0.0.1:${admin}` },
    log_level: edition % 2 === 0 ? 'info' : 'warn',
    access_log: { path: accessLog, sample: 1 },
    statistics: { slowlog_log_slower_than: 10_000, hot_key_samples_per_second: 1_000 },
    listeners: [
      {
        address: `127.0.0.1:${port}`,
        cluster: 'main',
        users: [
          {
            name: USERNAME,
            passwords: [{ inline: PASSWORD }],
            rules: 'on +@all -debug ~soak:* &*',
            limits: { commands_per_second: 1_000_000 + edition, max_connections: 10_000 },
          },
        ],
        limits: { max_connections: 20_000, idle_timeout: '60s' },
      },
    ],
    clusters: [
      {
        name: 'main',
        endpoints: nodes.map((node) => `127.0.0.1:${node.port}`),
        settings: { op_timeout: edition % 2 === 0 ? '5s' : '6s' },
      },
    ],
  });
}
