/** Clusters that do not take all keys, and snapshots of which only a server knows what they hold. */
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { canHaveNewerServers } from '../../../../scripts/newer-servers.js';
import { findBackup, type ListedBackup } from '../../../../src/backup/catalogue.js';
import { BackupArchive } from '../../../../src/backup/restore/archive.js';
import { openRestore, type RestoreOptions } from '../../../../src/backup/restore/restore.js';
import { Selection } from '../../../../src/backup/restore/selection.js';
import { readRdb } from '../../../../src/backup/source/network.js';
import { findProgram } from '../../../../src/runtime/redis-server.js';
import { makeBackup } from '../../../support/backup.js';
import { openSession } from '../../../support/operations/join.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS } from '../../../support/servers.js';
import { length, plain, rdbOf, stringRecord } from '../../../unit/backup/rdb/make-rdb.js';
import { failureOf } from '../../cluster/formed.js';
import { buildRdbModule } from '../rdb/fill.js';
import { backUp, contentOf, DEBUG, empty, makePlace, type Place, signal, write } from './fixtures.js';

const TEST_MS = 120_000;
const WAIT_MS = 20_000;
const KEYS = 10_000;
const VALUE_BYTES = 200;
/** Beyond what the server takes for itself: some of its keys. */
const TOO_LITTLE_BYTES = 700_000;
const PATIENCE_MS = 1_500;
const HAS_NEWER = Boolean(process.env['CI']) || canHaveNewerServers();

let place: Place;
let source: RedisCluster;
let target: RedisCluster;
let newer: RedisCluster | undefined;
let module: string;
let backup: ListedBackup;
let content: Map<string, string>;

beforeAll(async () => {
  module = buildRdbModule();
  place = await makePlace();
  const args = [...DEBUG, '--loadmodule', module, '--cluster-node-timeout', '1000'];
  const newerCluster = HAS_NEWER
    ? startCluster({ masters: 1, args: DEBUG, executable: executableOf('redis8') })
    : undefined;
  [source, target] = (await Promise.all([1, 2].map((masters) => startCluster({ masters, args })))) as [
    RedisCluster,
    RedisCluster,
  ];
  newer = await newerCluster;
  await source.masters[0]?.call('DEBUG', 'POPULATE', KEYS, 'key', VALUE_BYTES);
  content = await contentOf(source.masters);
  backup = await backUp(place.store, source.masters);
}, FETCH_TIMEOUT_MS);
afterAll(async () => {
  await Promise.all([source?.stop(), target?.stop(), newer?.stop()]);
  await place?.remove();
  await rm(path.dirname(module), { recursive: true, force: true });
});
beforeEach(() => empty(target.masters));

async function restored(
  more: Partial<RestoreOptions> & { readonly of?: ListedBackup; readonly into?: RedisCluster } = {},
) {
  const { of = backup, into = target, ...options } = more;
  const session = await openSession(into.addresses, { connect: {} });
  try {
    const restore = await openRestore({
      ...{ session, archive: new BackupArchive(place.store, of, undefined), selection: new Selection() },
      ...{ existing: 'refuse', parallel: 1, verify: true, home: place.directory, signal: signal() },
      environment: { ...process.env, FORGE_SCRATCH_DIR: place.directory },
      ...options,
    });
    return { plan: restore.plan, result: await restore.apply() };
  } finally {
    session.close();
  }
}

/** The same keys by the word of an older format, which this program leaves to servers; without a sum. */
function olderFormat(file: Buffer): Buffer {
  const copy = Buffer.from(file);
  copy.write('REDIS0008', 'latin1');
  copy.fill(0, copy.length - 8);
  return copy;
}

describe('a snapshot that this program does not know', () => {
  it(
    'is loaded by a server of this host, with the modules that its values are of',
    async () => {
      const masters = target.masters;
      await write(masters, [
        ['SET', 'plain', 'value'],
        ['SET', 'mortal', 'value', 'PXAT', 4_102_444_800_000],
        ['RDB.PUT', 'of a module', 70_000],
      ]);
      const wanted = await contentOf(masters);
      const files: Buffer[] = [];
      for (const master of masters) {
        const { stream } = await readRdb(await master.connect(), { signal: signal() });
        files.push(olderFormat(await buffer(stream)));
      }
      const made = await makeBackup(place.store, { shards: files });
      const of = await findBackup(place.store, { id: made.id, signal: signal() });
      await empty(masters);
      const server = path.join(place.directory, 'redis-server-with-module');
      const program = findProgram('redis-server', process.env['PATH']);
      const words = `[ "$1" = --version ] && exec ${program} --version\nexec ${program} "$@" --loadmodule ${module}\n`;
      await writeFile(server, `#!/bin/sh\n${words}`, { mode: 0o755 });

      const failure = await failureOf(restored({ of }));
      expect(failure).toMatchObject({ kind: 'missing', message: expect.stringContaining('does not load it') });
      expect(failure.next.join(' ')).toContain('with the same modules');
      const remarks: string[] = [];
      const environment = { ...process.env, FORGE_SCRATCH_DIR: place.directory, FORGE_REDIS_SERVER: server };
      const { plan, result } = await restored({ of, environment, observer: { remark: (text) => remarks.push(text) } });
      expect(plan).toMatchObject({ resumed: true, counted: false });
      expect(remarks.join('\n')).toContain('A server of this host loads it.');
      expect(result).toMatchObject({ restored: wanted.size, existing: 0, notes: [] });
      expect(await contentOf(masters)).toEqual(wanted);
    },
    TEST_MS,
  );

  it.runIf(HAS_NEWER)(
    'may be so in its middle: what was sent before that is not sent twice',
    async () => {
      const into = newer as RedisCluster;
      const strings = Array.from({ length: 3_000 }, (_, index) => stringRecord(`key:${index}`, 'x'.repeat(100)));
      // A hash whose fields expire, as servers wrote it before that was released.
      const early = Buffer.concat([Buffer.of(22), plain('hash'), length(1), length(0), plain('field'), plain('value')]);
      const file = rdbOf('REDIS0011', ...strings.slice(0, 2_000), early, ...strings.slice(2_000));
      const made = await makeBackup(place.store, { shards: [file] });
      const of = await findBackup(place.store, { id: made.id, signal: signal() });
      const tallies: number[] = [];
      const { result } = await restored({
        ...{ of, into },
        environment: { ...process.env, FORGE_SCRATCH_DIR: place.directory, FORGE_REDIS_SERVER: executableOf('redis8') },
        observer: { restored: ({ restored: keys }) => tallies.push(keys) },
      });
      // It was well on its way, and began again.
      expect(tallies.some((keys, index) => keys > (tallies[index + 1] ?? Number.POSITIVE_INFINITY))).toBe(true);
      expect(result).toMatchObject({ restored: 3_001, existing: 0, notes: [] });
      expect(await into.masters[0]?.call('HGET', 'hash', 'field')).toBe('value');
      expect(await into.masters[0]?.call('DBSIZE')).toBe(3_001);
    },
    TEST_MS,
  );
});

// The last: one of the masters does not live through it.
describe('a restore that the cluster stops', () => {
  it(
    'for want of memory says so, and goes on when there is some',
    async () => {
      const [full] = target.masters as [RedisServer];
      const used = Number(/^used_memory:(\d+)/m.exec(String(await full.call('INFO', 'memory')))?.[1]);
      await full.call('CONFIG', 'SET', 'maxmemory', used + TOO_LITTLE_BYTES);
      const failure = await failureOf(restored());
      expect(failure).toMatchObject({ kind: 'partial', host: full.address });
      expect(failure.message).toMatch(/takes no more: OOM .*\d+ keys are restored\./);
      expect(failure.next.join(' ')).toMatch(/maxmemory.*The same command goes on there/);
      await full.call('CONFIG', 'SET', 'maxmemory', 0);
      const { plan, result } = await restored();
      expect(plan).toMatchObject({ resumed: true });
      expect(result).toMatchObject({ restored: KEYS, existing: 0, notes: [] });
      expect(await contentOf(target.masters)).toEqual(content);
    },
    TEST_MS,
  );

  it(
    'because a master is lost says so; when that is back, without its keys, the same command gives them back',
    async () => {
      const victim = target.masters[1] as RedisServer;
      let killed: Promise<void> | undefined;
      const observer: RestoreOptions['observer'] = {
        restored: ({ restored: keys }) => {
          if (keys > KEYS / 4) killed ??= victim.kill();
        },
      };
      const failure = await failureOf(restored({ observer, patienceMs: PATIENCE_MS }));
      await killed;
      expect(failure.kind).toBe('partial');
      expect(failure.message).toMatch(/^The cluster has not taken \d+ keys for 2 s: .*\d+ keys are restored\.$/);
      expect(failure.next.join(' ')).toContain('forge cluster check');
      const args = [...DEBUG, '--loadmodule', module, '--dir', victim.dir];
      const back = await startRedis({ cluster: true, port: victim.port, args });
      try {
        const nodes = [target.masters[0] as RedisServer, back];
        await poll('the cluster serves again', WAIT_MS, async () =>
          (await Promise.all(nodes.map((node) => node.call('CLUSTER', 'INFO')))).every((info) =>
            String(info).includes('cluster_state:ok'),
          ),
        );
        const { plan, result } = await restored();
        expect(plan.resumed).toBe(true);
        expect(plan.existingKeys).toBeGreaterThan(0);
        expect(result).toMatchObject({ restored: KEYS, existing: 0, notes: [] });
        expect(await contentOf(nodes)).toEqual(content);
      } finally {
        await back.stop();
      }
    },
    TEST_MS,
  );
});
