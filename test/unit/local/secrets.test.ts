import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ClusterPaths, clusterPaths } from '../../../src/local/paths.js';
import { ensureSecrets, loadSecrets, nodeUsers, SECRET_NAMES, secretFile } from '../../../src/local/secrets.js';

let home: string;
let paths: ClusterPaths;
beforeEach(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-secrets-'));
  paths = clusterPaths(home, 'local');
});
afterEach(async () => {
  await rm(home, { recursive: true });
});

describe('the passwords of a cluster', () => {
  it('are made once, differ, and can be read by their user only', async () => {
    const made = await ensureSecrets(paths);
    expect(await ensureSecrets(paths)).toEqual(made);
    expect(await loadSecrets(paths)).toEqual(made);
    expect(new Set(Object.values(made)).size).toBe(SECRET_NAMES.length);
    for (const name of SECRET_NAMES) {
      expect((await stat(secretFile(paths, name))).mode & 0o777).toBe(0o600);
      expect(made[name]).toMatch(/^[\w-]{32}$/);
    }
    expect((await stat(paths.secrets)).mode & 0o777).toBe(0o700);
  });

  it('may be replaced by own ones, with the line end that an editor adds', async () => {
    await ensureSecrets(paths);
    await writeFile(secretFile(paths, 'endpoint'), 'my own\n');
    expect((await loadSecrets(paths)).endpoint).toBe('my own');
  });

  it('that are missing are told by their file', async () => {
    await ensureSecrets(paths);
    await rm(secretFile(paths, 'app'));
    await expect(loadSecrets(paths)).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining(secretFile(paths, 'app')),
    });
  });

  it('give the proxy a user that administers nothing', async () => {
    const users = nodeUsers(await ensureSecrets(paths));
    expect(users.find(({ name }) => name === 'app')?.rules).toContain('-@admin');
  });
});
