import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clusterPaths } from '../../../src/local/paths.js';
import { type ClusterState, listClusters, loadState, parseState, saveState } from '../../../src/local/state.js';

const state: ClusterState = {
  version: 1,
  createdAt: '2026-11-21T00:00:00.000Z',
  runtime: 'process',
  masters: 3,
  replicas: 1,
  nodePorts: [7001, 7002, 7003, 7004, 7005, 7006],
  proxy: { port: 7379, adminPort: 9901 },
  formed: false,
};

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-state-'));
});
afterEach(async () => {
  await rm(home, { recursive: true });
});

describe('the state of a cluster', () => {
  it('is read back as it was written, by its user only', async () => {
    const paths = clusterPaths(home, 'local');
    await mkdir(paths.directory);
    await saveState(paths, state);
    expect(await loadState(paths)).toEqual(state);
    expect((await stat(paths.state)).mode & 0o777).toBe(0o600);
  });

  it('is undefined where there is no cluster', async () => {
    expect(await loadState(clusterPaths(home, 'local'))).toBeUndefined();
  });

  it('that is damaged is told with the file and the fault, whatever is in it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(() => parseState(text, '/file')).toThrow(
          expect.objectContaining({ kind: 'configuration', message: expect.stringContaining('/file') }),
        );
      }),
    );
  });

  it.each([
    ['another version', { version: 2 }],
    ['a port out of range', { nodePorts: [70_000] }],
    ['a setting that nobody knows', { extra: 1 }],
    ['no masters', { masters: 0 }],
  ])('with %s is refused', (_, change) => {
    expect(() => parseState(JSON.stringify({ ...state, ...change }), '/file')).toThrow(/damaged/);
  });
});

describe('listClusters', () => {
  it('names what is a cluster, and nothing else', async () => {
    for (const name of ['two', 'one']) {
      await mkdir(path.join(home, name));
      await saveState(clusterPaths(home, name), state);
    }
    await mkdir(path.join(home, 'empty'));
    await writeFile(path.join(home, 'proxy.pid'), '1');
    expect(await listClusters(home)).toEqual(['one', 'two']);
    expect(await listClusters(path.join(home, 'missing'))).toEqual([]);
  });
});
