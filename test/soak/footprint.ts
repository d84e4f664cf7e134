/** What a proxy holds: memory, file descriptors, connections to nodes. Linux only (/proc). */
import { readdir, readFile } from 'node:fs/promises';

export interface Footprint {
  readonly pid: number;
  /** Resident. */
  readonly bytes: number;
  readonly files: number;
  /** Connections to nodes, by the proxy's own statistics. */
  readonly upstreams: number;
}

const KIB = 1024;

/** @param admin the port of its admin pages */
export async function footprintOf(pid: number, admin: number): Promise<Footprint> {
  const [status, files, stats] = await Promise.all([
    readFile(`/proc/${pid}/status`, 'utf8'),
    readdir(`/proc/${pid}/fd`),
    fetch(`http://127.0.0.1:${admin}/stats?format=json`).then((response) => response.json()),
  ]);
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (resident === undefined) throw new Error(`process ${pid} has no memory`);
  const figures = (stats as { stats: { name?: string; value?: number }[] }).stats;
  const upstreams = figures
    .filter(({ name }) => name?.startsWith('cluster.') && name.endsWith('.upstream_cx_active'))
    .reduce((sum, { value = 0 }) => sum + value, 0);
  return { pid, bytes: Number(resident) * KIB, files: files.length, upstreams };
}
