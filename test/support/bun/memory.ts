/** Tries, in Bun, what the proxy does with memory; prints one JSON document. Run without arguments. */
import { readFileSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { COLLECT_AFTER_BYTES, COLLECT_IDLE_MS } from '../../../src/proxy/server/collection-times.js';
import {
  collectWhenIdle,
  countLarge,
  LARGE_CHUNK_BYTES,
  startCollecting,
} from '../../../src/proxy/server/collector.js';
import { sharedMemory } from '../../../src/proxy/server/shared-memory.js';

const MIB = 1024 * 1024;
const BIG_BYTES = 128 * MIB;
const WRITTEN_BYTES = 16 * MIB;
const THREAD_ADDS = 1000;
const PIECES = 200;

function residentBytes(): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

/** What has been written and dropped, so that the allocator has something to give again. */
function leaveGarbage(): void {
  for (let i = 0; i < 8; i++) new Uint8Array(BIG_BYTES / 8).fill(i + 1);
  Bun.gc(true);
}

function sizes() {
  return [1, 65_536, 65_537, 3 * MIB].map((asked) => {
    const memory = sharedMemory(asked);
    return { asked, got: memory.byteLength, shared: memory instanceof SharedArrayBuffer };
  });
}

function residency() {
  leaveGarbage();
  const before = residentBytes();
  const bytes = new Uint8Array(sharedMemory(BIG_BYTES));
  const allocated = residentBytes();
  bytes.fill(1, 0, WRITTEN_BYTES);
  const written = residentBytes();
  const rest = new Float64Array(bytes.buffer, WRITTEN_BYTES);
  return {
    allocatedBytes: allocated - before,
    writtenBytes: written - allocated,
    zeroed: rest.every((number) => number === 0),
  };
}

async function threads() {
  const counters = new Int32Array(sharedMemory(4));
  const worker = new Worker(new URL(import.meta.url), { workerData: { memory: counters.buffer } });
  const done = new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  for (let i = 0; i < THREAD_ADDS; i++) Atomics.add(counters, 0, 1);
  await done;
  await worker.terminate();
  return { expected: 2 * THREAD_ADDS, counted: Atomics.load(counters, 0) };
}

/** Objects that nothing holds; the collector's stack scan may take a few of them for held. */
function droppedPieces(): () => number {
  const pieces = Array.from({ length: PIECES }, (_, i) => new WeakRef({ i, text: `piece ${i}` }));
  return () => pieces.filter((piece) => piece.deref() === undefined).length;
}

/** Gone after `act`, which is not in the event in which the pieces were made: that one holds them. */
async function goneAfter(act: () => void | Promise<void>): Promise<number> {
  const gone = droppedPieces();
  await Bun.sleep(1);
  await act();
  await Bun.sleep(5);
  return gone();
}

async function collections() {
  const enough = COLLECT_AFTER_BYTES / LARGE_CHUNK_BYTES;
  const count = (chunks: number, nowMs: number) => {
    for (let i = 0; i < chunks; i++) countLarge(LARGE_CHUNK_BYTES, nowMs);
  };
  startCollecting(0);
  return {
    pieces: PIECES,
    nothingDue: await goneAfter(() => collectWhenIdle(1)),
    afterStart: await goneAfter(() => collectWhenIdle(1000)),
    fewLarge: await goneAfter(() => count(enough - 1, 2000)),
    manyLarge: await goneAfter(() => count(1, 2000)),
    oneLarge: await goneAfter(() => count(1, 2000)),
    largeStopped: await goneAfter(() => collectWhenIdle(2000 + COLLECT_IDLE_MS)),
  };
}

if (isMainThread) {
  const result = {
    sizes: sizes(),
    residency: residency(),
    threads: await threads(),
    collections: await collections(),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
} else {
  const counters = new Int32Array((workerData as { memory: SharedArrayBuffer }).memory);
  for (let i = 0; i < THREAD_ADDS; i++) Atomics.add(counters, 0, 1);
  parentPort?.postMessage('done');
}
