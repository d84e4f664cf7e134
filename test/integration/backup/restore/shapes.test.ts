import { execFileSync } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ListedBackup } from '../../../../src/backup/catalogue.js';
import { verifyLoad } from '../../../../src/backup/verify-load.js';
import { forge } from '../../../support/forge.js';
import { poll, type RedisServer, startCluster, startRedis, startServers } from '../../../support/redis.js';
import { failureOf } from '../../cluster/formed.js';
import { addGroup, backUp, contentOf, DEBUG, everything, makePlace, type Place, signal, write } from './fixtures.js';

const START_MS = 120_000;
const WAIT_MS = 20_000;

let place: Place;
let backup: ListedBackup;
let content: Map<string, string>;
let ports: number[];
let servers: RedisServer[];

/** The cluster is gone when the tests begin. */
beforeAll(async () => {
  place = await makePlace();
  servers = [];
  const source = await startCluster({ args: DEBUG });
  try {
    await write(source.masters, everything());
    await addGroup(source.masters);
    content = await contentOf(source.masters);
    const nodes = await Promise.all(source.masters.map((master) => master.call('CLUSTER', 'MYID')));
    backup = await backUp(place.store, source.masters, {
      manifest: {
        nodes: source.masters.map(({ address }, index) => ({
          id: String(nodes[index]),
          address,
          role: 'master' as const,
          slots: [{ start: Math.round((index * 16_384) / 3), end: Math.round(((index + 1) * 16_384) / 3) - 1 }],
          configEpoch: index + 1,
        })),
      },
    });
    ports = source.masters.map(({ port }) => port);
  } finally {
    await source.stop();
  }
}, START_MS);
afterAll(async () => {
  for (const server of servers) await server.stop();
  await place.remove();
});

const run = (...args: string[]) =>
  forge(
    ['restore', backup.id, '--from', place.store.place, '--config', '/dev/null', '--env-file', '/dev/null', ...args],
    {
      env: { FORGE_HOME: path.join(place.directory, 'home') },
    },
  );

describe('a cluster that is gone', () => {
  it(
    'is formed again of empty nodes, with the slots that each master had, and has all its keys',
    async () => {
      const nodes = await startServers(4, { cluster: true, args: [...DEBUG, '--repl-diskless-sync-delay', '0'] });
      servers.push(...nodes);
      const addresses = nodes.map(({ address }) => address).join(',');
      const few = await run('--nodes', addresses.split(',').slice(0, 2).join(','), '--yes');
      expect(few.code, few.stderr).toBe(2);
      expect(few.stderr).toContain('The cluster had 3 masters, and 2 nodes are given.');
      const planned = await run('--nodes', addresses, '--dry-run');
      expect(planned.code, planned.stderr).toBe(0);
      expect(planned.stdout).toContain('10923-16383');
      expect(await nodes[0]?.call('CLUSTER', 'INFO')).toContain('cluster_known_nodes:1');
      const done = await run('--nodes', addresses, '--yes', '--json');
      expect(done.code, done.stderr).toBe(0);
      expect(JSON.parse(done.stdout)).toMatchObject({ status: 'restored', restored: content.size });
      expect(await contentOf(nodes.slice(0, 3))).toEqual(content);
      const info = String(await nodes[1]?.call('CLUSTER', 'NODES'));
      expect(info).toMatch(/ 5461-10922$/m);
      expect(String(await nodes[3]?.call('INFO', 'replication'))).toContain('role:slave');
    },
    START_MS,
  );

  it.runIf(process.getuid?.() === 0 || process.env['CI'])(
    'is not written to a disk without room for it, and leaves nothing there',
    async () => {
      const disk = path.join(place.directory, 'disk');
      await mkdir(disk);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', disk]);
      try {
        const full = await run('--files', path.join(disk, 'files'));
        expect(full.code, full.stderr).toBe(8);
        expect(full.stderr).toMatch(
          /The disk of \S+ is full: all shards take \d+ bytes\..*nothing was left in this one/s,
        );
        expect(await readdir(path.join(disk, 'files'))).toEqual([]);
        const environment = { ...process.env, FORGE_SCRATCH_DIR: disk };
        const loading = verifyLoad(place.store, backup, { environment, signal: signal() });
        expect(await failureOf(loading)).toMatchObject({ kind: 'refused', message: expect.stringContaining('MiB') });
        expect(await readdir(disk)).toEqual(['files']);
      } finally {
        execFileSync('umount', [disk]);
      }
    },
    START_MS,
  );

  it(
    'is written to folders, from which servers at the addresses of then are the cluster again',
    async () => {
      const directory = path.join(place.directory, 'files');
      const done = await run('--files', directory);
      expect(done.code, done.stderr).toBe(0);
      expect(await readdir(directory)).toEqual(['shard-0001', 'shard-0002', 'shard-0003']);
      expect((await run('--files', directory)).stderr).toContain('shard-0001 is there already');
      const again: RedisServer[] = [];
      for (const [index, port] of ports.entries()) {
        const folder = path.join(directory, `shard-000${index + 1}`);
        // One from its append-only file, the others from dump.rdb.
        const args = [...DEBUG, '--dir', folder, '--appendonly', index === 0 ? 'yes' : 'no'];
        again.push(await startRedis({ cluster: true, port, args }));
      }
      servers.push(...again);
      await poll('they are one cluster', WAIT_MS, async () =>
        (await Promise.all(again.map((node) => node.call('CLUSTER', 'INFO')))).every((info) =>
          String(info).includes('cluster_state:ok'),
        ),
      );
      expect(await contentOf(again)).toEqual(content);
    },
    START_MS,
  );
});
