/** What the proxy does with memory, in the runtime that it runs on. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../../support/repository.js';

const LIMIT_MS = 60_000;
const MIB = 1024 * 1024;
/** What the allocator and the page tables may take besides. */
const SLACK_BYTES = 4 * MIB;

interface Measured {
  sizes: { asked: number; got: number; shared: boolean }[];
  residency: { allocatedBytes: number; writtenBytes: number; zeroed: boolean };
  threads: { expected: number; counted: number };
  collections: Record<
    'pieces' | 'nothingDue' | 'afterStart' | 'fewLarge' | 'manyLarge' | 'oneLarge' | 'largeStopped',
    number
  >;
}

let measured: Measured;

beforeAll(async () => {
  const bun = path.join(ROOT, 'node_modules/.bin/bun');
  const { stdout } = await promisify(execFile)(bun, [path.join(ROOT, 'test/support/bun/memory.ts')], {
    timeout: LIMIT_MS,
  });
  measured = JSON.parse(stdout) as Measured;
});

describe('memory that threads share', () => {
  it('has at least the size that was asked for', () => {
    for (const { asked, got, shared } of measured.sizes) {
      expect(got).toBeGreaterThanOrEqual(asked);
      expect(got - asked).toBeLessThan(65_536);
      expect(shared).toBe(true);
    }
    expect(measured.sizes).toHaveLength(4);
  });

  it('is resident where it has been written, and zeroed elsewhere', () => {
    const { allocatedBytes, writtenBytes, zeroed } = measured.residency;
    expect(allocatedBytes).toBeLessThan(SLACK_BYTES);
    expect(writtenBytes).toBeGreaterThanOrEqual(16 * MIB - SLACK_BYTES);
    expect(writtenBytes).toBeLessThan(16 * MIB + SLACK_BYTES);
    expect(zeroed).toBe(true);
  });

  it('is the same memory in every thread', () => {
    expect(measured.threads.counted).toBe(measured.threads.expected);
  });
});

describe('the garbage of a worker', () => {
  it('stays while no collection is due', () => {
    const { nothingDue, fewLarge, oneLarge } = measured.collections;
    expect({ nothingDue, fewLarge, oneLarge }).toEqual({ nothingDue: 0, fewLarge: 0, oneLarge: 0 });
  });

  it.each([
    ['after the start', 'afterStart'],
    ['after many large chunks, once their event is over', 'manyLarge'],
    ['when large chunks have stopped coming', 'largeStopped'],
  ] as const)('is gone %s', (_, when) => {
    const { pieces } = measured.collections;
    // The collector takes what looks like an address on the stack for one.
    expect(measured.collections[when]).toBeGreaterThan(pieces * 0.9);
  });
});
