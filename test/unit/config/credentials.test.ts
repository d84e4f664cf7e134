import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCredentials } from '../../../src/config/credentials.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'forge-credentials-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, text: string): Promise<string> {
  const full = path.join(folder, name);
  await writeFile(full, text, { mode: 0o600 });
  return full;
}

describe('credentials', () => {
  it('come from REDIS_REQUIREPASS before REDISCLI_AUTH', async () => {
    expect(await readCredentials({ environment: { REDIS_REQUIREPASS: 'a', REDISCLI_AUTH: 'b' } })).toEqual({
      password: 'a',
    });
    expect(await readCredentials({ environment: { REDISCLI_AUTH: 'b', REDIS_USERNAME: 'app' } })).toEqual({
      username: 'app',
      password: 'b',
    });
  });

  it('take empty variables for unset ones', async () => {
    expect(await readCredentials({ environment: { REDIS_REQUIREPASS: '', REDIS_USERNAME: '' } })).toEqual({});
  });

  it('come from the file before the environment, without its line end', async () => {
    const passwordFile = await file('one', 'pass word \r\n');
    expect(await readCredentials({ passwordFile, environment: { REDIS_REQUIREPASS: 'a' } })).toEqual({
      password: 'pass word ',
    });
  });

  it('are refused when the file is missing or empty', async () => {
    const empty = await file('empty', '\n');
    for (const passwordFile of [empty, path.join(folder, 'nowhere')]) {
      await expect(readCredentials({ passwordFile, environment: {} })).rejects.toMatchObject({ kind: 'configuration' });
    }
  });

  it('are refused when there is a user without a password', async () => {
    await expect(readCredentials({ username: 'app', environment: {} })).rejects.toMatchObject({
      kind: 'configuration',
    });
  });
});
