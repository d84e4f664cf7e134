import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTls } from '../../../src/config/tls.js';

let directory: string;
const file = (name: string) => path.join(directory, name);
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-tls-'));
  for (const name of ['ca', 'cert', 'key']) await writeFile(file(name), `the ${name}`);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('TLS to the nodes', () => {
  it('is off unless somebody asks for it, or names a file', async () => {
    expect(await readTls({ environment: {} })).toBeUndefined();
    expect(await readTls({ environment: { REDIS_TLS: 'no' } })).toBeUndefined();
    expect(await readTls({ environment: { REDIS_TLS: 'Yes' } })).toEqual({});
    expect(await readTls({ tls: true, environment: {} })).toEqual({});
    expect(await readTls({ environment: { REDIS_TLS_CA: file('ca') } })).toEqual({ ca: Buffer.from('the ca') });
  });

  it('takes files from flags before the environment, and a name but no address as the server’s name', async () => {
    const files = { caFile: file('ca'), certificateFile: file('cert'), keyFile: file('key') };
    const environment = { REDIS_TLS_CA: '/nowhere', REDIS_TLS_SNI: 'redis.example' };
    expect(await readTls({ ...files, environment })).toEqual({
      ca: Buffer.from('the ca'),
      cert: Buffer.from('the cert'),
      key: Buffer.from('the key'),
      servername: 'redis.example',
    });
    expect(await readTls({ tls: true, serverName: '10.0.0.1', environment: {} })).toEqual({});
  });

  it('is refused with half a client certificate, and with a file that cannot be read', async () => {
    await expect(readTls({ certificateFile: file('cert'), environment: {} })).rejects.toThrow(/only of use together/);
    await expect(readTls({ caFile: file('none'), environment: {} })).rejects.toThrow(/none cannot be read/);
  });
});
