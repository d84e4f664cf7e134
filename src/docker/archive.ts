/** Tar archives in memory, as `docker cp` reads and writes them: small files with modes and owners. */
import { Header, Parser, Pax } from 'tar';
import type { DockerInput } from './command.js';

const BLOCK_BYTES = 512;
/** The most that is read out of one archive; what we copy is configuration, keys and records. */
const CONTENT_MAX_BYTES = 16 * 1024 * 1024;
const ENTRIES_MAX = 10_000;
/** How many files a description names before it counts the others. */
const DESCRIBED_MAX = 8;

export interface ArchiveEntry {
  /** Relative to where the archive is unpacked; `.` is that directory itself. */
  path: string;
  /** Not given: a directory. */
  content?: string | Uint8Array;
  /** Permission bits. */
  mode: number;
  uid: number;
  gid: number;
}

export interface UnpackedFile {
  path: string;
  content: Buffer;
  mode: number;
  uid: number;
  gid: number;
}

/**
 * The archive of these files and directories, in the order given.
 * @param modified their time; the same archive for the same input otherwise
 * @throws Error for a path that is absolute or leads outside
 */
export function packArchive(entries: readonly ArchiveEntry[], modified: Date): Buffer {
  const blocks = entries.flatMap((entry) => packEntry(entry, modified));
  // Two empty blocks are the end of an archive (POSIX pax).
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK_BYTES)]);
}

/** The archive as the input of a command, described without any of its content. */
export function archiveInput(entries: readonly ArchiveEntry[], modified: Date): DockerInput {
  const named = entries.slice(0, DESCRIBED_MAX).map((entry) => {
    const kind = entry.content === undefined ? 'directory ' : '';
    return `${kind}${entry.path} (${entry.mode.toString(8).padStart(4, '0')}, ${entry.uid}:${entry.gid})`;
  });
  if (entries.length > DESCRIBED_MAX) named.push(`${entries.length - DESCRIBED_MAX} more`);
  return { bytes: packArchive(entries, modified), description: `a tar of ${named.join(', ')}` };
}

/**
 * The regular files of an archive; directories, links and devices are left out.
 * @throws Error when it is damaged, or holds more than 16 MiB or 10,000 entries
 */
export async function unpackArchive(archive: Uint8Array): Promise<UnpackedFile[]> {
  if (archive.length % BLOCK_BYTES !== 0) throw new Error('archive: it is cut off');
  return await new Promise((resolve, reject) => {
    const files: UnpackedFile[] = [];
    let bytes = 0;
    let entries = 0;
    const parser = new Parser({ strict: true });
    parser.on('entry', (entry) => {
      entries += 1;
      const parts: Buffer[] = [];
      entry.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        parts.push(chunk);
        if (bytes > CONTENT_MAX_BYTES) reject(new Error(`archive: more than ${CONTENT_MAX_BYTES} bytes`));
      });
      entry.on('end', () => {
        if (entries > ENTRIES_MAX) return reject(new Error(`archive: more than ${ENTRIES_MAX} entries`));
        if (entry.type !== 'File' && entry.type !== 'OldFile') return;
        const { path, mode = 0, uid = 0, gid = 0 } = entry;
        files.push({ path, content: Buffer.concat(parts), mode: mode & 0o7777, uid, gid });
      });
    });
    parser.on('error', reject);
    parser.on('end', () => resolve(files));
    parser.end(Buffer.from(archive));
  });
}

function packEntry(entry: ArchiveEntry, mtime: Date): Buffer[] {
  const { path, mode, uid, gid } = entry;
  if (path === '' || path.startsWith('/') || path.split('/').includes('..')) {
    throw new Error(`archive: "${path}" is not a path inside the archive`);
  }
  const content = entry.content === undefined ? undefined : Buffer.from(entry.content);
  const data = {
    path: content === undefined ? `${path}/` : path,
    type: content === undefined ? ('Directory' as const) : ('File' as const),
    ...{ mode, uid, gid, mtime, size: content?.length ?? 0 },
  };
  const header = Buffer.alloc(BLOCK_BYTES);
  // Long paths and large numbers do not fit into the block, and go into one of their own before it.
  const needsMore = new Header(data).encode(header, 0);
  const extended = needsMore ? [new Pax(data).encode()] : [];
  if (content === undefined) return [...extended, header];
  const padding = Buffer.alloc((BLOCK_BYTES - (content.length % BLOCK_BYTES)) % BLOCK_BYTES);
  return [...extended, header, content, padding];
}
