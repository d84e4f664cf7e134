/** Which TCP ports are free on this host, and who holds the others. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { describeProcess } from './process/identity.js';

const run = promisify(execFile);
const LSOF_TIMEOUT_MS = 5_000;
/** State `0A` in /proc/net/tcp is LISTEN (linux/include/net/tcp_states.h). */
const LISTEN = '0A';

export interface PortHolder {
  pid: number;
  /** The program's name, when it may be seen. */
  program?: string;
}

/** Whether a listener could be opened on this address and port right now. */
export async function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** The process that listens on a port; undefined when it cannot be told (another user's process, no lsof). */
export async function findPortHolder(port: number): Promise<PortHolder | undefined> {
  const pid = process.platform === 'linux' ? linuxHolder(port) : await lsofHolder(port);
  if (pid === undefined) return undefined;
  const program = await describeProcess(pid);
  return { pid, ...(program === undefined ? {} : { program }) };
}

/** `redis-server (process 1234)`, or a way to say that it is not known. */
export function describeHolder(holder: PortHolder | undefined): string {
  if (holder === undefined) return 'another process (its owner does not let it be seen)';
  return `${holder.program ?? 'a program'} (process ${holder.pid})`;
}

/** Socket inodes that listen on the port, from the text of /proc/net/tcp or tcp6 (man 5 proc). */
export function parseListeners(table: string, port: number): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  return table.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const inode = fields[9];
    return fields[3] === LISTEN && fields[1]?.endsWith(`:${wanted}`) && inode !== undefined ? [inode] : [];
  });
}

function linuxHolder(port: number): number | undefined {
  const inodes = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => parseListeners(readOrEmpty(file), port));
  if (inodes.length === 0) return undefined;
  const targets = new Set(inodes.map((inode) => `socket:[${inode}]`));
  for (const pid of listOrEmpty('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const descriptor of listOrEmpty(`/proc/${pid}/fd`)) {
      if (targets.has(linkOrEmpty(`/proc/${pid}/fd/${descriptor}`))) return Number(pid);
    }
  }
  return undefined;
}

async function lsofHolder(port: number): Promise<number | undefined> {
  try {
    const { stdout } = await run('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fp'], { timeout: LSOF_TIMEOUT_MS });
    const match = /^p(\d+)$/m.exec(stdout);
    return match?.[1] === undefined ? undefined : Number(match[1]);
  } catch {
    return undefined;
  }
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function listOrEmpty(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function linkOrEmpty(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}
