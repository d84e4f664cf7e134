/** A change of a host as data: what is written where, and what was there. Pure. */

export const PATHS = {
  /** The name that the bash suite used. */
  sysctl: '/etc/sysctl.d/99-redisforge.conf',
  unit: '/etc/systemd/system/redisforge-huge-pages.service',
  unitLink: '/etc/systemd/system/multi-user.target.wants/redisforge-huge-pages.service',
  dockerLimits: '/etc/systemd/system/docker.service.d/redisforge-limits.conf',
  state: '/var/lib/redisforge/host-tune.json',
} as const;

export const HUGE_PAGES = 'huge-pages';
export const HUGE_PAGES_FILE = '/sys/kernel/mm/transparent_hugepage/enabled';

/** A value of the running kernel. */
export interface LiveChange {
  readonly kind: 'live';
  /** A key of the kernel, or `huge-pages`. */
  readonly name: string;
  readonly path: string;
  readonly before: string;
  readonly to: string;
  readonly why: string;
}

/** A file that is read at the next start. */
export interface FileChange {
  readonly kind: 'file';
  readonly path: string;
  /** Undefined: there was none. */
  readonly before?: string;
  readonly to: string;
  readonly why: string;
}

export interface LinkChange {
  readonly kind: 'link';
  readonly path: string;
  /** Where it leads. */
  readonly to: string;
  readonly why: string;
}

export type TuneChange = LiveChange | FileChange | LinkChange;

/** What cannot be changed here, and why. */
export interface Impossible {
  readonly name: string;
  readonly why: string;
}

/** The file below /proc/sys of a key. */
export function sysctlPath(key: string): string {
  return `/proc/sys/${key.replaceAll('.', '/')}`;
}

/** What of a change is done by which words, for people: a line for a shell, and the content of a file below it. */
export function changeLines(change: TuneChange, root = ''): string[] {
  switch (change.kind) {
    case 'live':
      return [`echo '${change.to}' > ${change.path}    # was: ${change.before === '' ? 'empty' : change.before}`];
    case 'link':
      return [`ln -s ${change.to} ${root}${change.path}`];
    case 'file': {
      const content = change.to.trimEnd().split('\n');
      return [`cat > ${root}${change.path} <<'END'`, ...content, 'END'];
    }
  }
}
