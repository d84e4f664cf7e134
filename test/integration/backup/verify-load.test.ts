import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBackup } from '../../../src/backup/catalogue.js';
import { sweepScratch } from '../../../src/backup/scratch/folder.js';
import { verifyLoad } from '../../../src/backup/verify-load.js';
import type { Command } from '../../../src/cluster/node-connection.js';
import { slotsFrom } from '../../../src/cluster/slots.js';
import { isAlive } from '../../../src/runtime/process/identity.js';
import { makeBackup } from '../../support/backup.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';
import { ROOT } from '../../support/repository.js';
import { executableOf, FETCH_TIMEOUT_MS, SOME_SERVERS } from '../../support/servers.js';
import { backUp, makePlace, type Place, signal, write } from './restore/fixtures.js';

const WAIT_MS = 20_000;
const HEX_256 = /^[0-9a-f]{64}$/;

let place: Place;
let scratch: string;
let clusters: RedisCluster[];
const environment = (program?: string) => ({
  ...process.env,
  FORGE_SCRATCH_DIR: scratch,
  ...(program === undefined ? {} : { FORGE_REDIS_SERVER: program }),
});
const alone = async (executable?: string) => {
  const cluster = await startCluster({ masters: 1, executable });
  clusters.push(cluster);
  return cluster;
};

beforeAll(async () => {
  place = await makePlace();
  scratch = path.join(place.directory, 'scratch');
  await mkdir(scratch);
  clusters = [];
});
afterAll(async () => {
  for (const cluster of clusters) await cluster.stop();
  await place.remove();
});

describe.each(SOME_SERVERS)('a backup of %s that is loaded', (_, name) => {
  it(
    'has the keys that are written down, and a digest of its values that is the same every time',
    async () => {
      const program = executableOf(name);
      const { nodes } = await alone(program);
      const [node] = nodes;
      if (node === undefined) throw new Error('no node');
      await write(nodes, [
        ...Array.from({ length: 500 }, (_, i): Command => ['SET', `key:${i}`, `value ${i}`]),
        ...Array.from({ length: 300 }, (_, i): Command => ['SADD', 'set', `member ${i}`]),
        ['HSET', 'hash', 'field', 'value'],
        ['SET', 'soon', 'gone', 'PX', 1],
      ]);
      const secret = Buffer.alloc(32, 7);
      const backup = await backUp(place.store, nodes, { secret });
      const options = { secret, environment: environment(program), signal: signal() };
      const verdict = await verifyLoad(place.store, backup, options);
      expect(verdict.problems).toEqual([]);
      expect(verdict.shards[0]?.keys).toBeGreaterThanOrEqual(502);
      const deep = await verifyLoad(place.store, backup, { ...options, deep: true });
      expect(deep.digest).toMatch(HEX_256);
      expect((await verifyLoad(place.store, backup, { ...options, deep: true })).digest).toBe(deep.digest);
      await node.call('HSET', 'hash', 'field', 'another');
      const later = await backUp(place.store, nodes, { secret });
      const other = await verifyLoad(place.store, later, { ...options, deep: true });
      const differing = [...(deep.digests ?? [])].filter(([slot, sum]) => other.digests?.get(slot) !== sum);
      expect(differing.map(([slot]) => slot)).toEqual([Number(await node.call('CLUSTER', 'KEYSLOT', 'hash'))]);
      expect(await readdir(scratch)).toEqual([]);
    },
    FETCH_TIMEOUT_MS,
  );
});

describe('a backup that is loaded', () => {
  it('is faulty where keys are missing, too many, or of slots of others, and where the server does not load it', async () => {
    const { nodes } = await alone();
    await write(
      nodes,
      Array.from({ length: 20 }, (_, i): Command => ['SET', `key:${i}`, 'x']),
    );
    const backup = await backUp(place.store, nodes);
    const [shard] = backup.manifest?.shards ?? [];
    if (shard === undefined || backup.manifest === undefined) throw new Error('no shard');
    const { manifest } = backup;
    const judged = async (change: Partial<typeof shard>) => {
      const changed = { ...backup, manifest: { ...manifest, shards: [{ ...shard, ...change }] } };
      return (await verifyLoad(place.store, changed, { environment: environment(), signal: signal() })).problems;
    };
    const [[slot = 0, count = 0] = []] = shard.slotKeys ?? [];
    const others = (shard.slotKeys ?? []).slice(1);
    expect(await judged({})).toEqual([]);
    expect((await judged({ slotKeys: [[slot, count + 3], ...others] })).join()).toMatch(/3 of 20 keys are missing/);
    expect((await judged({ slotKeys: others })).join()).toContain(`more keys than are written down in slots ${slot}`);
    const most = slotsFrom(Array.from({ length: 16_384 }, (_, each) => each).filter((each) => each !== slot));
    expect((await judged({ slots: [...most] })).join()).toContain(`keys of slots that it did not serve: ${slot}`);
    const broken = await makeBackup(place.store, { shards: [Buffer.from('REDIS0010\u0000\u0003abc')] });
    const found = await findBackup(place.store, { id: broken.id, signal: signal() });
    const verdict = await verifyLoad(place.store, found, { environment: environment(), signal: signal() });
    expect(verdict.problems.join()).toMatch(/shard-0001.*does not load it: .*(Short read|Unexpected EOF)/);
    const newer = { server: 'redis', version: '99.0.0' };
    await expect(judged({ source: { ...shard.source, ...newer } })).rejects.toMatchObject({
      kind: 'missing',
      message: expect.stringContaining('The backup is of Redis 99.0.0, and here is only'),
    });
    expect(await readdir(scratch)).toEqual([]);
  });

  it('leaves no server and no folder, however the program ends', async () => {
    const { nodes } = await alone();
    await nodes[0]?.call('SET', 'key', 'x');
    const { id } = await backUp(place.store, nodes);
    const program = `
      import { findBackup } from '${ROOT}/src/backup/catalogue.js';
      import { DirectoryStore } from '${ROOT}/src/backup/store/directory.js';
      import { BackupArchive } from '${ROOT}/src/backup/restore/archive.js';
      import { loadShard } from '${ROOT}/src/backup/scratch/load.js';
      const { signal } = new AbortController();
      const store = new DirectoryStore(${JSON.stringify(place.store.place)});
      const archive = new BackupArchive(store, await findBackup(store, { id: ${JSON.stringify(id)}, signal }), undefined);
      await loadShard({ archive, shard: archive.manifest.shards[0], signal });
      console.log('loaded');
      setInterval(() => undefined, 1000);
    `;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      cwd: ROOT,
      env: environment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (piece: Buffer) => {
      said += piece.toString();
    });
    await poll('it is loaded', WAIT_MS, () => said.includes('loaded'));
    const [folder = ''] = await readdir(scratch);
    const server = JSON.parse(await readFile(path.join(scratch, folder, 'server.json'), 'utf8'));
    expect(await isAlive(server)).toBe(true);
    expect(await sweepScratch(scratch)).toBe(0);
    child.kill('SIGKILL');
    await poll('the server has ended', WAIT_MS, async () => !(await isAlive(server)));
    await poll('its folder is gone', WAIT_MS, async () => (await readdir(scratch)).length === 0);
  });
});
