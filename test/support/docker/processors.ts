/**
 * Gives a Docker engine of the tests, with all its containers, a share of the processors, as if it were a machine of its own: the
 * control group of cgroups(7) that its containers are in anyway, version 1 or 2.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { DockerDaemon } from './daemon.js';

const ROOT = '/sys/fs/cgroup';
/** The shorter, the more even: who has used up its share stands still until the next one begins. */
const PERIOD_US = 10_000;

/**
 * @param cores such as 0.25; for as long as the engine lives
 * @throws Error where control groups cannot be written
 */
export function limitProcessors({ place, pid }: DockerDaemon, cores: number): void {
  const quota = String(Math.round(PERIOD_US * cores));
  const first = existsSync(path.join(ROOT, 'cpu'));
  const group = path.join(ROOT, first ? 'cpu' : '', place.cgroup);
  if (!first) writeFileSync(path.join(ROOT, 'cgroup.subtree_control'), '+cpu');
  // What has groups below it may have no processes itself, in version 2.
  const engine = path.join(group, 'engine');
  mkdirSync(engine, { recursive: true });
  if (first) {
    writeFileSync(path.join(group, 'cpu.cfs_period_us'), String(PERIOD_US));
    writeFileSync(path.join(group, 'cpu.cfs_quota_us'), quota);
  } else {
    writeFileSync(path.join(group, 'cpu.max'), `${quota} ${PERIOD_US}`);
  }
  const containerd = readFileSync(path.join(place.directory, 'exec/containerd/containerd.pid'), 'utf8').trim();
  for (const each of [String(pid), containerd]) writeFileSync(path.join(engine, 'cgroup.procs'), each);
}
