import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClusterStatus } from '../../../src/local/status.js';
import type { UpResult } from '../../../src/local/up.js';
import { forge as run } from '../../support/forge.js';

let home: string;

const forge = (...args: string[]) => run(args, { env: { FORGE_HOME: home } });
const status = async () => JSON.parse((await forge('status', '--json')).stdout) as ClusterStatus;

beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-sharded-'));
});

afterAll(async () => {
  await forge('down', '--purge', '--yes');
  await rm(home, { recursive: true, force: true });
});

describe('forge up --sharded', () => {
  it('starts servers that know nothing of each other, behind a proxy that divides the keys', async () => {
    const up = await forge('up', '--sharded', '3', '--base-port', 'auto', '--smoke-test', '--json');
    expect(up.stderr).not.toContain('Error');
    const result = JSON.parse(up.stdout) as UpResult;
    expect(result).toMatchObject({ alreadyUp: false, sharded: true, smokeTest: 'passed' });
    expect(result.nodes).toHaveLength(3);
    const page = await fetch(`http://127.0.0.1:${result.admin?.port}/clusters?format=json`);
    const cluster = (await page.json()) as { type: string; hosts: { address: string; slots: number }[] };
    expect(cluster.type).toBe('sharded');
    expect(cluster.hosts.map(({ address }) => address)).toEqual(result.nodes.map(({ port }) => `127.0.0.1:${port}`));
    // Maglev: each has its third of the table within one percent.
    for (const { slots } of cluster.hosts) expect(Math.abs(slots / (65_537 / 3) - 1)).toBeLessThan(0.01);
  });

  it('shows them, tests them, and keeps their shape', async () => {
    const all = await status();
    expect(all).toMatchObject({ health: 'up', sharded: true, masters: 3, replicas: 0 });
    expect(all.nodes.map(({ role }) => role)).toEqual(['master', 'master', 'master']);
    expect((await forge('status')).stdout).toContain('hashed among 3 independent servers');
    expect((await forge('smoke-test')).code).toBe(0);
    const other = await forge('up', '--sharded', '4');
    expect(other.code).toBe(5);
    expect(other.stderr).toContain('--sharded 4, but it has 3');
    expect((await forge('up', '--masters', '3')).code).toBe(5);
  });

  it('stops them and brings them back', async () => {
    expect((await forge('down')).code).toBe(0);
    expect((await status()).health).toBe('stopped');
    const again = JSON.parse((await forge('up', '--json')).stdout) as UpResult;
    expect(again.started).toHaveLength(4);
    expect((await status()).health).toBe('up');
    expect((await forge('up')).stdout).toContain('is up already');
  });
});
