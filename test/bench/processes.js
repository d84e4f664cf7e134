// Starts, watches and stops the processes of a benchmark; reads what they cost from /proc.
import { execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 20;
const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const PORT_FIRST = 11_000;
/** Cluster bus ports are 10,000 higher, and outgoing connections take ports from 32,768 on. */
const PORT_LAST = 22_000;
const BUS_OFFSET = 10_000;
const PORT_TRIES_MAX = 500;
/** Enough for 10,000 clients and as many upstream connections. */
const OPEN_FILES = 65_536;

const running = new Set();

/** Starts a program with as many open files as it may have. It ends with this process at the latest. */
export function start(command, args, { cwd, env, stdio = 'ignore' } = {}) {
  // No more than the hard limit where it cannot be raised.
  const script = `ulimit -n ${OPEN_FILES} 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"`;
  const child = spawn('sh', ['-c', script, command, ...args], { cwd, env: { ...process.env, ...env }, stdio });
  child.ended = new Promise((resolve) => {
    child.once('error', resolve);
    child.once('exit', (code, signal) => resolve(new Error(`${command} ended with ${signal ?? `status ${code}`}`)));
  });
  running.add(child);
  child.ended.then(() => running.delete(child));
  return child;
}

export async function stop(child) {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
  const patience = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await child.ended;
  clearTimeout(patience);
}

/** What else is to be done before the benchmark leaves; a function takes itself out when it has run. */
export const cleanUps = new Set();

export async function stopAll() {
  await Promise.all([...running].map(stop));
  for (const cleanUp of cleanUps) await cleanUp();
}

process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Polls until `probe` gives something truthy. Throws, naming `what`, after `timeoutMs` or when `child` has ended. */
export async function until(what, probe, { timeoutMs = 20_000, child } = {}) {
  const end = performance.now() + timeoutMs;
  let failure;
  child?.ended.then((error) => {
    failure = error;
  });
  for (;;) {
    const found = await Promise.resolve()
      .then(probe)
      .catch(() => undefined);
    if (found) return found;
    if (failure) throw new Error(`${what}: ${failure.message}`);
    if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs / 1_000} s`);
    await sleep(POLL_MS);
  }
}

/** A port that nobody listens on, its cluster bus port free too. */
export async function freePort() {
  for (let attempt = 0; attempt < PORT_TRIES_MAX; attempt++) {
    const port = PORT_FIRST + Math.floor(Math.random() * (PORT_LAST - PORT_FIRST));
    if ((await isFree(port)) && (await isFree(port + BUS_OFFSET))) return port;
  }
  throw new Error('no free port');
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** The process and all that it started, by id. */
function family(pid) {
  const pids = [pid];
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    let children = '';
    try {
      children = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8');
    } catch {
      // The thread has ended meanwhile.
    }
    for (const child of children.split(' ').filter(Boolean)) pids.push(...family(Number(child)));
  }
  return pids;
}

/** Processor time, user and system, of the processes and their families so far, in seconds; in steps of 10 ms. */
export function cpuSeconds(pids) {
  let ticks = 0;
  for (const pid of pids.flatMap(family)) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the name in parentheses and may hold spaces; utime and stime are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

/** Resident memory of the process and its family, in bytes. */
export function residentBytes(pid) {
  return family(pid).reduce((sum, member) => {
    const status = readFileSync(`/proc/${member}/status`, 'utf8');
    return sum + Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1_024;
  }, 0);
}
