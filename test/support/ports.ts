/**
 * Ports for tests. They lie below the range from which the system takes ports for outgoing connections, so that nothing
 * takes one between the choice and its use, and a file per port keeps test processes that run at once apart.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

/** 10,080 is one that fetch() refuses ("bad port"). */
const FIRST = 10_081;
/** A cluster bus port is the port plus 10,000, and must be below the outgoing range (32,768 on Linux) too. */
const LAST = 22_700;
export const BUS_OFFSET = 10_000;
const ATTEMPTS_MAX = 500;

const claims = path.join(os.tmpdir(), 'redisforge-test-ports');
const claimed = new Set<string>();

process.once('exit', () => {
  for (const file of claimed) rmSync(file, { force: true });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The process that holds the claim; 0 when it has not written its id yet, undefined when the claim is gone. */
function holderOf(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Claims the port for this process; false when a living test process holds it. */
function claim(port: number): boolean {
  mkdirSync(claims, { recursive: true });
  const file = path.join(claims, String(port));
  for (const _ of [1, 2]) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      claimed.add(file);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = holderOf(file);
    // An empty file is one that is being written at this moment.
    if (holder === undefined) continue;
    if (holder === 0 || isAlive(holder)) return false;
    rmSync(file, { force: true });
  }
  return false;
}

/** Whether nobody listens on the port of 127.0.0.1 right now. */
export async function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * The first of `count` consecutive free ports whose cluster bus ports (port + 10,000) are free as well. They stay
 * claimed until this process ends. Throws when none are found in 500 tries.
 */
export async function freePortBlock(count: number): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const first = FIRST + Math.floor(Math.random() * (LAST - FIRST - count));
    const ports = Array.from({ length: count }, (_, index) => first + index);
    if (!ports.every(claim)) continue;
    const free = await Promise.all(ports.flatMap((port) => [port, port + BUS_OFFSET]).map(isPortFree));
    if (free.every(Boolean)) return first;
  }
  throw new Error(`no block of ${count} free ports in ${ATTEMPTS_MAX} tries`);
}

/** One free port, its cluster bus port free as well. */
export async function freePort(): Promise<number> {
  return freePortBlock(1);
}

/** `count` free ports, not necessarily consecutive; each with its cluster bus port free. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let index = 0; index < count; index++) ports.push(await freePort());
  return ports;
}
