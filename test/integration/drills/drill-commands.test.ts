/**
 * `forge drill` on a local cluster, as operators type it: what it refuses, how it is put back, and the shortest of its rehearsals.
 * The others are in test/drills/rehearsals.test.ts.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DrillStand } from '../../support/drill-stand.js';
import { FEW, LIGHT, rehearse, textsOf } from '../../support/drills/rehearse.js';
import { poll, type RedisServer, startRedis } from '../../support/redis.js';
import { FULL } from '../../support/servers.js';

const TEST_MS = 120_000;
const BACK_MS = 60_000;

let stand: DrillStand;
let stranger: RedisServer;
let folder: string;
let ports: number[];

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'forge-drill-reports-'));
  [stand, stranger] = await Promise.all([DrillStand.start(), startRedis({ cluster: true })]);
  ports = (await stand.status()).nodes.map(({ port }) => port);
}, TEST_MS);

afterAll(async () => {
  await Promise.all([stand?.stop(), stranger?.stop()]);
  await rm(folder, { recursive: true, force: true });
}, TEST_MS);

const drill = (...words: string[]) => rehearse(stand, ...words);
/** `master` or `slave` of every node, by its port. */
const rolesOf = async () =>
  new Map(
    await Promise.all(ports.map(async (port) => [port, ((await stand.call(port, 'ROLE')) as string[])[0]] as const)),
  );
const drillKeys = async () => {
  const masters = await stand.masters();
  return (await Promise.all(masters.map(({ port }) => stand.call(port, 'KEYS', 'forge-drill:*')))).flat();
};

describe('forge drill', { timeout: TEST_MS }, () => {
  it('does nothing without --yes and the name of the cluster, and says before what it would do', async () => {
    const [unasked, unnamed, misnamed, planned] = await Promise.all([
      stand.attempt('drill', 'failover', '--confirm', 'drill'),
      stand.attempt('drill', 'persistence', '--yes'),
      stand.attempt('drill', 'proxy', '--yes', '--confirm', 'production'),
      stand.attempt('drill', 'partition', '--dry-run', '--json'),
    ]);
    expect([unasked.code, unnamed.code, misnamed.code, planned.code]).toEqual([5, 5, 5, 0]);
    expect(unasked.stderr).toMatch(/Clients may see: .*\n.*To undo it: .*\nError: A drill disturbs drill/);
    expect(unnamed.stderr).toContain('--yes --confirm drill');
    expect(misnamed.stderr).toContain('production is not the name of this cluster');
    expect(JSON.parse(planned.stdout)).toMatchObject({
      status: 'planned',
      cluster: 'drill',
      plan: { does: [/./, /./] },
    });
  });

  it('refuses an endpoint that is not in front of this cluster', async () => {
    const { port } = (await stand.masters())[0] ?? {};
    const [another, node, none] = await Promise.all([
      stand.attempt('drill', 'failover', '--endpoint', stranger.address, ...LIGHT),
      stand.attempt('drill', 'failover', '--endpoint', `127.0.0.1:${port}`, ...LIGHT),
      stand.attempt('drill', 'failover', '--seed', `127.0.0.1:${port}`, ...LIGHT),
    ]);
    expect([another.code, another.stderr]).toEqual([4, expect.stringContaining(stranger.address)]);
    expect([node.code, node.stderr]).toEqual([11, expect.stringContaining('--endpoint-password-file')]);
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('--endpoint')]);
  });

  it('failover: every master hands over and gets its role back; the page is whole in itself', async () => {
    const before = await rolesOf();
    const page = path.join(folder, 'failover.html');
    const report = await drill('failover', '--fail-back', '--beside', '--html', page);
    expect(textsOf(report).filter((text) => text.startsWith('failover from'))).toHaveLength(3);
    expect(report.clients.errors).toEqual({});
    expect(report.beside?.operations).toBeGreaterThan(100);
    expect(await rolesOf()).toEqual(before);
    expect(await drillKeys()).toEqual([]);
    const html = await readFile(page, 'utf8');
    expect(html).toContain('<svg');
    expect(html).not.toMatch(/https?:|<script|<link|@import|url\(/);
  });

  it('failover, ended by Ctrl-C: the roles are as they were', async () => {
    const before = await rolesOf();
    const running = stand.begin('drill', 'failover', ...LIGHT);
    // The first has handed over.
    await running.said('failover from 127.0.0.1:');
    await poll('a role has changed', BACK_MS, async () => {
      const now = await rolesOf();
      return [...now].some(([port, role]) => before.get(port) !== role);
    });
    running.child.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(code, stderr).toBe(130);
    expect(stderr).toMatch(/Error: Interrupted by Ctrl-C\. .*everything is put back\.\n$/);
    expect(await rolesOf()).toEqual(before);
  });

  it.runIf(FULL)('scale: a master joins and leaves', async () => {
    const addresses = (await stand.startServers(1)).map((port) => `127.0.0.1:${port}`);
    const report = await drill('scale', '--with', addresses.join(','));
    expect(report.clients.errors).toEqual({});
    expect(textsOf(report)).toEqual([
      expect.stringMatching(/^adding/),
      expect.stringMatching(/^removing/),
      'whole again',
    ]);
    for (const address of addresses) {
      const known = String(await stand.call(Number(address.split(':')[1]), 'CLUSTER', 'NODES'));
      expect(known.trim().split('\n')).toHaveLength(1);
    }
    const member = `127.0.0.1:${(await stand.masters())[0]?.port}`;
    const refused = await stand.attempt('drill', 'scale', '--with', member, ...LIGHT);
    expect([refused.code, refused.stderr]).toEqual([5, expect.stringContaining('is in the cluster')]);
  });

  it('partition: a master stands still and goes on; a bound that does not hold is told by the exit code', async () => {
    const failed = await stand.attempt('drill', 'partition', '--for', '1s', ...FEW, '--max-pause', '5ms');
    expect([failed.code, failed.stdout]).toEqual([9, expect.stringMatching(/FAILS +longest pause/)]);
    expect(failed.stdout).toMatch(/stands still\n.*goes on\n.*whole again\n/);
    expect(failed.stdout).toContain('Failed: a master is cut off.');
    expect(failed.stdout).toMatch(/holds +wrong replies +0 +≤ 0/);
  });
});
