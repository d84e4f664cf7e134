/**
 * Runs this program only while a processor has nothing else to do (Linux: SCHED_IDLE, man 7 sched). A program that is
 * merely nice keeps its processor for a whole slice of some milliseconds once it has it, and whoever wakes up meanwhile
 * waits for so long: with clients on the same two processors that was half of their p99. One that takes spare time only
 * makes way at once.
 *
 * A machine without time to spare would starve it, and what it holds open (a slot, the lock) would wait. So a thread of
 * usual priority looks whether the program gets its turn, and takes it out when it does not.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

const run = promisify(execFile);
/** `chrt` answers in a few milliseconds. */
const CHRT_TIMEOUT_MS = 2_000;
const BEAT_MS = 50;
/** How long the watch looks at a time. */
const LOOK_MS = 500;
/** With fewer of the beats of that time there is too little time to spare. */
const BEATS_MIN = 3;

/** Runs in a thread of its own, whatever the program is compiled to: so it is kept as text. */
const WATCH = `
const { workerData } = require('node:worker_threads');
const { spawnSync } = require('node:child_process');
const { beats, beatsMin, lookMs, timeoutMs, pid } = workerData;
let before = Atomics.load(beats, 0);
const timer = setInterval(() => {
  const now = Atomics.load(beats, 0);
  if (now - before < beatsMin) {
    clearInterval(timer);
    spawnSync('chrt', ['-o', '-p', '0', String(pid)], { timeout: timeoutMs, stdio: 'ignore' });
  }
  before = now;
}, lookMs);
`;

interface SpareTime {
  readonly watch: Worker;
  readonly timer: NodeJS.Timeout;
}

let current: Promise<SpareTime | undefined> | undefined;

/**
 * From now on until `leaveSpareTime`, or until there was hardly any for half a second. Does nothing where it could not be taken
 * back: not on Linux, without `chrt`, or without the right to go up again. Never throws; asked twice, it counts once.
 */
export function takeOnlySpareTime(): Promise<void> {
  current ??= take().catch(() => undefined);
  return current.then(() => undefined);
}

/** The usual way again; does nothing when it was never left. Never throws. */
export async function leaveSpareTime(): Promise<void> {
  const taken = await current;
  current = undefined;
  if (taken === undefined) return;
  clearInterval(taken.timer);
  await chrt('-o', '-p', '0', String(process.pid)).catch(() => undefined);
  await taken.watch.terminate();
}

async function take(): Promise<SpareTime | undefined> {
  if (process.platform !== 'linux') return undefined;
  // Tried on another process first: whether one may go down and up again.
  await chrt('-i', '0', 'chrt', '-o', '0', 'true');
  const beats = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const watch = new Worker(WATCH, {
    eval: true,
    workerData: { beats, beatsMin: BEATS_MIN, lookMs: LOOK_MS, timeoutMs: CHRT_TIMEOUT_MS, pid: process.pid },
  });
  // Without the watch it would go on unwatched; both are ended by `leaveSpareTime`.
  watch.once('error', () => void leaveSpareTime());
  watch.unref();
  await new Promise<void>((resolve, reject) => {
    watch.once('online', resolve);
    watch.once('error', reject);
  });
  const timer = setInterval(() => void Atomics.add(beats, 0, 1), BEAT_MS).unref();
  // Of the main thread only, whose number is the process's: the watch keeps its priority.
  try {
    await chrt('-i', '-p', '0', String(process.pid));
  } catch (error) {
    clearInterval(timer);
    await watch.terminate();
    throw error;
  }
  return { watch, timer };
}

async function chrt(...args: string[]): Promise<void> {
  await run('chrt', args, { timeout: CHRT_TIMEOUT_MS });
}
