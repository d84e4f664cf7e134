/** Checks of the disks that data is on. */
import { fail, type Reason, warn } from '../../operations/health/finding.js';
import type { DiskFacts } from '../facts.js';
import { type HostCheck, type HostReason, unknown } from '../finding.js';
import { bytes, percent } from '../words.js';

/** While an append-only file is rewritten, the old one, the new one and what is written meanwhile lie side by side. */
const REWRITE_FACTOR = 3;
/** The old file and the new one: with less, a rewrite of a full node cannot end. */
const REWRITE_FACTOR_MIN = 2;
const FREE_WARN_BYTES = 2 * 1024 ** 3;
const FREE_FAIL_BYTES = 256 * 1024 ** 2;
const FREE_WARN_PART = 0.1;
const INODES_FREE_PART_MIN = 0.02;

/** What the data would be lost with, or could not be trusted on. */
const LOST = ['tmpfs', 'ramfs'];
const NETWORK = /^(nfs|cifs|smb|fuse|9p|glusterfs|ceph)/;

function space(disk: DiskFacts, maxmemoryBytes: number | undefined): Reason[] {
  const { found, freeBytes, totalBytes } = disk;
  if (freeBytes === undefined || totalBytes === undefined) return [];
  const free = `${found} has ${bytes(freeBytes)} free of ${bytes(totalBytes)}`;
  if (freeBytes < FREE_FAIL_BYTES) return [fail(free)];
  if (maxmemoryBytes !== undefined && maxmemoryBytes > 0) {
    const wanted = `${REWRITE_FACTOR} × ${bytes(maxmemoryBytes)} of maxmemory`;
    // What lies there already may be this very data: only where the whole disk is too small, it is certain.
    if (totalBytes < maxmemoryBytes * REWRITE_FACTOR_MIN)
      return [fail(`${found} has ${bytes(totalBytes)} in all; wanted: ${wanted}`)];
    return freeBytes < maxmemoryBytes * REWRITE_FACTOR ? [warn(`${free}; wanted: ${wanted}`)] : [];
  }
  const little = freeBytes < FREE_WARN_BYTES || freeBytes / totalBytes < FREE_WARN_PART;
  return little ? [warn(`${free} (${percent(freeBytes / totalBytes)})`)] : [];
}

function kind({ found, fileSystem, options, inodes = 0, inodesFree = 0 }: DiskFacts): Reason[] {
  const reasons: Reason[] = [];
  if (options.includes('ro')) reasons.push(fail(`${found} is mounted read-only`));
  if (fileSystem !== undefined) {
    if (LOST.includes(fileSystem))
      reasons.push(fail(`${found} is in memory (${fileSystem}): a restart loses the data`));
    if (NETWORK.test(fileSystem)) reasons.push(warn(`${found} is on ${fileSystem}: a write may wait for the network`));
    if (fileSystem === 'overlay') reasons.push(warn(`${found} is a layer of a container (overlay): use a volume`));
    if (fileSystem === 'btrfs' || fileSystem === 'zfs') {
      reasons.push(
        warn(`${found} is on ${fileSystem}: files that grow are copied on write; chattr +C, or a volume of its own`),
      );
    }
  }
  // A file system that makes inodes as it needs them has none to tell.
  if (inodes > 0 && inodesFree / inodes < INODES_FREE_PART_MIN) {
    reasons.push(warn(`${found} has only ${inodesFree} inodes left`));
  }
  return reasons;
}

export const disk: HostCheck = {
  name: 'disk',
  about: 'the append-only file has room to be rewritten, on a disk that keeps it',
  why: 'While its file is rewritten a node needs three times its data on disk; when the disk is full, it refuses writes.',
  next: 'Free or add space, put the data on a disk of its own, or lower maxmemory.',
  judge({ disks }, { maxmemoryBytes }) {
    const wanted =
      maxmemoryBytes === undefined || maxmemoryBytes === 0
        ? `${bytes(FREE_WARN_BYTES)} and ${percent(FREE_WARN_PART)} free`
        : `${bytes(maxmemoryBytes * REWRITE_FACTOR)} free`;
    if (disks.length === 0) return undefined;
    const reasons = disks.flatMap((each): (Reason | HostReason)[] => {
      if (!each.answers) return [fail(`the file system of ${each.folder} does not answer`)];
      if (each.freeBytes === undefined) return [unknown(`the host does not tell how full ${each.folder} is`)];
      return [...space(each, maxmemoryBytes), ...kind(each)];
    });
    const value = disks
      .map(({ folder, freeBytes, fileSystem }) =>
        freeBytes === undefined ? `${folder}: unknown` : `${folder}: ${bytes(freeBytes)} free, ${fileSystem}`,
      )
      .join('; ');
    return { value, wanted, reasons };
  },
};

/** `appendfsync everysec` holds writes back when a flush takes longer than two seconds; a slow disk gets there under load. */
const FSYNC_WARN_MS = 20;
const FSYNC_FAIL_MS = 150;

export const fsync: HostCheck = {
  name: 'fsync',
  about: 'a write is soon on the disk',
  why: 'The append-only file is flushed every second; a flush that takes long holds all writes back.',
  next: 'Use local SSDs for the data, and no disk that others keep busy.',
  judge({ fsync: told }) {
    const wanted = `below ${FSYNC_WARN_MS} ms`;
    if (told === undefined) return undefined;
    if (told === 'denied') {
      return { value: 'unknown', wanted, reasons: [unknown('this user may not write there: measure it as root')] };
    }
    if (told === 'slow')
      return { value: 'above 150 ms', wanted, reasons: [fail('32 small writes took more than 5 seconds')] };
    const text = `one small write takes ${told.toFixed(1)} ms until it is on the disk`;
    const reasons = told > FSYNC_FAIL_MS ? [fail(text)] : told > FSYNC_WARN_MS ? [warn(text)] : [];
    return { value: `${told.toFixed(1)} ms`, wanted, reasons };
  },
};
