import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { reads } from '../../../src/docker/command.js';
import { BoundedEngine, COMMANDS_AT_ONCE } from '../../../src/local/docker/bounded-engine.js';

let directory: string;
let program: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-bounded-'));
  program = path.join(directory, 'docker');
  // It stands there while it runs, counts who else does, and fails when it is told to.
  await writeFile(
    program,
    `#!/bin/sh\ncd '${directory}' || exit 9\ntouch "running.$$"\nsleep 0.05\nls running.* | wc -l\nrm "running.$$"\n[ "$1" != fail ]\n`,
  );
  await chmod(program, 0o755);
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

it('runs so many commands at once and no more, failures among them, and all of them', async () => {
  const engine = new BoundedEngine({ name: 'test' }, { program });
  const words = Array.from({ length: 3 * COMMANDS_AT_ONCE }, (_, index) => (index % 5 === 0 ? 'fail' : 'ps'));
  const outcomes = await Promise.allSettled(words.map((word) => engine.run(reads([word]))));
  expect(outcomes.map(({ status }) => status)).toEqual(
    words.map((word) => (word === 'fail' ? 'rejected' : 'fulfilled')),
  );
  const seen = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [Number(outcome.value)] : []));
  expect(Math.max(...seen)).toBeLessThanOrEqual(COMMANDS_AT_ONCE);
  expect(Math.max(...seen)).toBeGreaterThan(1);
  expect((await readdir(directory)).filter((name) => name.startsWith('running.'))).toEqual([]);
});
