/**
 * What forge tells Prometheus of things that no exporter sees: files for node_exporter's textfile collector.
 * Format: Prometheus's text exposition. Pure; a writer replaces the file whole (`writeFileAtomic`), mode 0644.
 */

/** When the last backup of a cluster succeeded, seconds since 1970. */
export const BACKUP_METRIC = 'redisforge_backup_last_success_timestamp_seconds';
/** How the last run of a backup ended, as an exit code. */
export const BACKUP_EXIT_METRIC = 'redisforge_backup_last_exit_code';
/** Until when a certificate is valid, seconds since 1970. */
export const CERTIFICATE_METRIC = 'redisforge_certificate_not_after_timestamp_seconds';

/** Where Debian's node exporter looks; it wants files that end in `.prom`. */
export const TEXTFILE_DIRECTORY = '/var/lib/prometheus/node-exporter';
/** Whoever the exporter runs as has to read it. */
export const TEXTFILE_MODE = 0o644;

export interface Certificate {
  /** By which people know it: `nodes/10.0.0.1/server`, its file in the folder of certificates. */
  readonly name: string;
  readonly notAfter: Date;
}

/** The name of the file that tells of backups of a cluster; each cluster has its own. */
export function backupTextfile(cluster: string): string {
  return `redisforge-backup-${cluster}.prom`;
}

/** The name of the file that tells of certificates of a cluster. */
export function certificateTextfile(cluster: string): string {
  return `redisforge-certificates-${cluster}.prom`;
}

/** What is told of the certificates of a cluster; nothing when there are none. */
export function formatCertificates(cluster: string, certificates: readonly Certificate[]): string {
  const sorted = [...certificates].sort((one, other) => (one.name < other.name ? -1 : 1));
  return family(
    CERTIFICATE_METRIC,
    'Until when the certificate is valid.',
    sorted.map(({ name, notAfter }) => ({
      labels: { redis_cluster: cluster, certificate: name },
      value: seconds(notAfter),
    })),
  );
}

/** A value with what it is of. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** All values of one metric; nothing when there are none. */
export function family(name: string, help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return '';
  const lines = samples.map(({ labels, value }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    return `${name}{${pairs.join(',')}} ${value}`;
  });
  return `${[`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...lines].join('\n')}\n`;
}

/** The format knows three escapes in the value of a label. */
function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function seconds(time: Date): number {
  const value = Math.floor(time.getTime() / 1000);
  if (!Number.isFinite(value)) throw new RangeError('textfile: not a time');
  return value;
}
