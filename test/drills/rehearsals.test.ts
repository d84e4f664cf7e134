/** The rehearsals of `forge drill` that take their time, as operators type them, on a local cluster. */
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { identifyProcess } from '../../src/runtime/process/identity.js';
import { DrillStand } from '../support/drill-stand.js';
import { LIGHT, rehearse, textsOf } from '../support/drills/rehearse.js';
import { poll } from '../support/redis.js';

const TEST_MS = 120_000;
const BACK_MS = 60_000;

let stand: DrillStand;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'forge-drill-scratch-'));
  stand = await DrillStand.start();
}, TEST_MS);

afterAll(async () => {
  await stand?.stop();
  await rm(folder, { recursive: true, force: true });
}, TEST_MS);

const drill = (...words: string[]) => rehearse(stand, ...words);
/** The letter that the kernel has for a process that stands still. */
const isStopped = (pid: number) => /\) T /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));

describe('forge drill', { timeout: TEST_MS }, () => {
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
