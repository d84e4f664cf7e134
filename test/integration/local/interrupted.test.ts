import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ForgeError } from '../../../src/errors.js';
import { bringDown } from '../../../src/local/down.js';
import { clusterPaths } from '../../../src/local/paths.js';
import { clusterStatus } from '../../../src/local/status.js';
import type { RunSteps, Step } from '../../../src/local/step.js';
import { bringUp } from '../../../src/local/up.js';
import { freePortBlock } from '../../support/ports.js';

const quiet = { title() {}, note() {} };

let home: string;
let base: number;

beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-interrupted-'));
  base = await freePortBlock(3);
});

afterAll(async () => {
  await bringDown({ home, name: 'test', purge: true, runSteps: runAll() });
  await rm(home, { recursive: true });
});

/** Runs the steps; `note` is told what each is doing. */
function runAll(note: (text: string) => void = () => {}): RunSteps {
  return async (steps: Step[]) => {
    for (const step of steps) await step.run(undefined, { ...quiet, note });
  };
}

const asked = () => ({ masters: 3, replicas: 0, basePort: base, proxy: false });

describe('a first start that is interrupted', () => {
  it.each(['Join the nodes', 'Verify the cluster'])('at "%s" is finished by the next', async (moment) => {
    const controller = new AbortController();
    const interrupt = (text: string) => {
      if (text === moment) controller.abort(new ForgeError('interrupted', 'Interrupted by Ctrl-C.'));
    };
    const first = bringUp({
      home,
      name: 'test',
      asked: asked(),
      smokeTest: false,
      runSteps: runAll(interrupt),
      signal: controller.signal,
    });
    await expect(first).rejects.toThrow();
    const second = await bringUp({ home, name: 'test', asked: asked(), smokeTest: false, runSteps: runAll() });
    expect(second.alreadyUp).toBe(false);
    expect(await clusterStatus(home, 'test')).toMatchObject({ health: 'up', slotsServed: 16_384, proxy: null });
    await bringDown({ home, name: 'test', purge: true, runSteps: runAll() });
  });

  it('leaves nothing behind when it could not even be planned', async () => {
    const impossible = { ...asked(), basePort: 65_000 };
    await expect(
      bringUp({ home, name: 'test', asked: impossible, smokeTest: false, runSteps: runAll() }),
    ).rejects.toMatchObject({ kind: 'usage' });
    expect(await readdir(home)).toEqual([]);
  });
});

describe('a node that cannot start', () => {
  it('is told with what it said, and is not tried for ever', async () => {
    const paths = clusterPaths(home, 'test');
    // A damaged file that Redis refuses to load.
    await mkdir(paths.node(base), { recursive: true });
    await writeFile(path.join(paths.node(base), 'nodes.conf'), 'this is no table of nodes\n');
    await expect(
      bringUp({ home, name: 'test', asked: asked(), smokeTest: false, runSteps: runAll() }),
    ).rejects.toMatchObject({
      kind: 'unreachable',
      host: `127.0.0.1:${base}`,
      message: expect.stringMatching(/Unrecoverable error: corrupted cluster config file/),
    });
    const { nodes } = await clusterStatus(home, 'test');
    expect(nodes[0]).toMatchObject({ phase: 'stopped', pid: null });
  });
});
