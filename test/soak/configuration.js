// The proxy with everything on, as a service would have it.
import { stringify } from 'yaml';

export const USERNAME = 'app';
export const PASSWORD = 'soak-password';

/** A configuration; each `edition` differs from the one before, so that a reload has something to do. */
export function configuration({ nodes, port, admin, workers, edition }) {
  return stringify({
    workers,
    admin: { address: `127.0.0.1:${admin}` },
    log_level: edition % 2 === 0 ? 'info' : 'warn',
    listeners: [
      {
        address: `127.0.0.1:${port}`,
        cluster: 'main',
        downstream_auth_username: USERNAME,
        downstream_auth_passwords: [{ inline: PASSWORD }],
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
