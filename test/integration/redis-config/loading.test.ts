/** What users may must not keep a server from loading what it has written. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Command, connectNode } from '../../../src/cluster/node-connection.js';
import { ADMIN_RULES, renderAcl } from '../../../src/runtime/acl.js';
import { poll, type RedisServer, startRedis } from '../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SOME_SERVERS } from '../../support/servers.js';

const LOAD_MS = 10_000;
const credentials = { username: 'admin', password: 'known to nobody' };
const SCRIPT = "redis.call('SET', KEYS[1], 1) redis.call('SET', KEYS[2], 1)";
const WRITES: readonly Command[] = [
  ['MULTI'],
  ['INCR', 'a'],
  ['INCR', 'b'],
  ['EXEC'],
  ['EVAL', SCRIPT, '2', 'c', 'd'],
  ['INCR', 'e'],
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'forge-loading-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each(SOME_SERVERS)('%s with forge’s users', (_, kind) => {
  let executable = '';
  beforeAll(() => {
    executable = executableOf(kind);
  }, FETCH_TIMEOUT_MS);

  it('has what transactions and scripts wrote after a crash', async () => {
    const dir = await mkdtemp(path.join(folder, `${kind}-`));
    const acl = path.join(dir, 'users.acl');
    const { username: name, password } = credentials;
    await writeFile(acl, renderAcl([{ name, password, rules: ADMIN_RULES }]));
    // Everysec waits with its file while the disk is busy: what is lost then is not what is looked for here.
    const args = ['--aclfile', acl, '--appendonly', 'yes', '--appendfsync', 'always', '--dir', dir];
    const servers: RedisServer[] = [];
    const start = async () => {
      const server = await startRedis({ executable, credentials, args });
      servers.push(server);
      return server;
    };
    try {
      const before = await start();
      const connection = await before.connect();
      for (const command of WRITES) await connection.call(...command);
      connection.close();
      await before.kill();
      const after = await start();
      const loaded = async () => String(await after.call('INFO', 'persistence')).includes('loading:0');
      await poll('the file is loaded', LOAD_MS, loaded);
      expect(await after.call('MGET', 'a', 'b', 'c', 'd', 'e')).toEqual(['1', '1', '1', '1', '1']);
      // Nobody is the default user all the same.
      const { host, port } = after;
      const stranger = async (password?: string) => {
        const connection = await connectNode({ host, port, password });
        return await connection.call('GET', 'a').finally(() => connection.close());
      };
      await expect(stranger()).rejects.toMatchObject({ kind: 'denied' });
      await expect(stranger('')).rejects.toMatchObject({ kind: 'denied' });
    } finally {
      for (const server of servers) await server.stop();
    }
  });
});
