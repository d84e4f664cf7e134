/** `forge drill` on a local cluster, as operators type it: each rehearsal, what it refuses, and how it is put back. */
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DrillReport } from '../../../src/drills/drill.js';
import { identifyProcess } from '../../../src/runtime/process/identity.js';
import { DrillStand } from '../../support/drill-stand.js';
import { poll, type RedisServer, startRedis } from '../../support/redis.js';

const TEST_MS = 120_000;
const BACK_MS = 60_000;
const CONSENT = ['--yes', '--confirm', 'drill'];
/** Few clients, and pauses as long as a busy machine makes them: what is judged in time is judged by the matrix. */
const FEW = [...CONSENT, '--clients', '8', '--interval', '15ms', '--calm', '300ms'];
const LIGHT = [...FEW, '--max-pause', '30s'];

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

/** The report of a drill that has passed. */
async function drill(...words: string[]): Promise<DrillReport> {
  const { code, stdout, stderr } = await stand.attempt('drill', ...words, ...LIGHT, '--json');
  expect(code, `${stdout}${stderr}`).toBe(0);
  const report = JSON.parse(stdout) as DrillReport;
  expect(report.verdict.passed).toBe(true);
  expect(report.clients).toMatchObject({ wrong: 0, unchecked: 0 });
  return report;
}

const textsOf = ({ events }: DrillReport) => events.map(({ text }) => text);
/** `master` or `slave` of every node, by its port. */
const rolesOf = async () =>
  new Map(
    await Promise.all(ports.map(async (port) => [port, ((await stand.call(port, 'ROLE')) as string[])[0]] as const)),
  );
/** The letter that the kernel has for a process that stands still. */
const isStopped = (pid: number) => /\) T /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
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

  it('rolling-restart: the named nodes run anew', async () => {
    const { nodes } = await stand.status();
    const master = nodes.find(({ role }) => role === 'master');
    const both = nodes.filter(({ id, masterId }) => id === master?.id || masterId === master?.id);
    const report = await drill('rolling-restart', both.map(({ id }) => id).join(','));
    expect(report.clients.errors).toEqual({});
    const after = (await stand.status()).nodes;
    const changed = after.filter(({ port, pid }) => nodes.find((node) => node.port === port)?.pid !== pid);
    expect(changed.map(({ port }) => port).sort()).toEqual(both.map(({ port }) => port).sort());
  });

  it('scale: a master joins and leaves', async () => {
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

  it('partition, ended by Ctrl-C: the master goes on at once; killed: it goes on by itself', async () => {
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      const [master] = await stand.masters();
      const running = stand.begin('drill', 'partition', '--node', master?.id ?? '', '--for', '1s', ...LIGHT);
      await running.said('stands still');
      await poll('it stands still', BACK_MS, async () => isStopped(master?.pid ?? 0));
      running.child.kill(signal);
      const { code, stderr } = await running.ended;
      if (signal === 'SIGINT') {
        expect([code, stderr]).toEqual([130, expect.stringContaining('everything is put back')]);
        expect(isStopped(master?.pid ?? 0)).toBe(false);
      }
      await poll('it goes on', BACK_MS, async () => !isStopped(master?.pid ?? 0));
    }
    await stand.whole();
  });

  it('failover --sudden: a master that an own command has killed is replaced and comes back', async () => {
    const [master] = await stand.masters();
    const command = JSON.stringify(['/bin/sh', '-c', `kill -9 ${master?.pid}`]);
    const report = await drill('failover', '--sudden', '--node', master?.id ?? '', '--kill-command', command);
    expect(textsOf(report)).toEqual([expect.stringMatching(/is killed$/), 'a replica has taken over', 'whole again']);
    const after = (await stand.status()).nodes.find(({ id }) => id === master?.id);
    expect(after).toMatchObject({ role: 'replica', phase: 'running' });
    expect(after?.pid).not.toBe(master?.pid);
  });

  it('persistence: all nodes die, and what was acknowledged is there', async () => {
    const before = (await stand.status()).nodes.map(({ pid }) => pid);
    const report = await drill('persistence');
    const kept = report.verdict.lines.find(({ what }) => what.startsWith('lost, and not acknowledged'));
    expect(kept).toMatchObject({ value: 0, bound: 0, holds: true });
    const after = (await stand.status()).nodes.map(({ pid }) => pid);
    expect(after.filter((pid) => before.includes(pid))).toEqual([]);
  });

  it('proxy: another process serves, and the old one has ended', async () => {
    const { pid } = (await stand.status()).proxy;
    const report = await drill('proxy', '--drain-time', '1', '--shutdown-time', '3');
    expect(textsOf(report).filter((text) => text === 'reload')).toHaveLength(3);
    expect((await stand.status()).proxy.pid).not.toBe(pid);
    // One that nobody has asked for its exit code has ended, too.
    expect(await identifyProcess(pid)).toBeUndefined();
  });

  it('backup: made, proved, restored, and gone', async () => {
    const report = await drill('backup', '--scratch', folder);
    expect(report.clients.errors).toEqual({});
    expect(textsOf(report)).toContain('the files of 3 masters are there: removing everything');
    expect(report.verdict.lines).toEqual(
      expect.arrayContaining([expect.objectContaining({ what: 'faults of the backup', value: 0, holds: true })]),
    );
    expect((await readdir(folder)).filter((name) => name.startsWith('forge-drill-'))).toEqual([]);
  });
});
