/** Where a proxy is told what to do by programs of its own user: a Unix socket beside its pid file. */
export function controlPath(pidFile: string): string {
  return `${pidFile.replace(/\.pid$/, '')}.sock`;
}

/** Environment variables by which a new process learns which proxy it replaces, and how. */
export const TAKE_OVER = 'FORGE_PROXY_TAKE_OVER';
/** `drain,shutdown`: seconds that the old one's clients are given. */
export const TAKE_OVER_TIMES = 'FORGE_PROXY_TAKE_OVER_TIMES';
/** How long the new process as a whole may take until it has taken over, milliseconds. */
export const UPGRADE_MS = 60_000;
