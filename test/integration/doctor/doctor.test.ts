import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadSettings, resolveTarget } from '../../../src/config/resolve.js';
import { type DoctorOptions, diagnose } from '../../../src/doctor/doctor.js';
import type { DoctorFinding } from '../../../src/doctor/finding.js';
import { type Authority, inDays, makeAuthority } from '../../support/certificates.js';
import { forge } from '../../support/forge.js';
import { freePort } from '../../support/ports.js';
import { type RedisCluster, startCluster, startRedis, startServers } from '../../support/redis.js';

/** In CI a missing compiler is a failure. */
const canSetClocks =
  Boolean(process.env['CI']) || (process.platform === 'linux' && spawnSync('gcc', ['--version']).status === 0);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'forge-doctor-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** The doctor in a folder of its own, without this machine's settings. */
async function doctor(flags: DoctorOptions['flags'] = {}, more: Partial<DoctorOptions> = {}): Promise<DoctorFinding[]> {
  return diagnose({
    flags,
    settings: () => loadSettings({ directory: folder, environment: { PATH: process.env['PATH'] } }),
    target: (settings) => resolveTarget(flags, settings),
    signal: new AbortController().signal,
    ...more,
  });
}

const ofCheck = (findings: readonly DoctorFinding[], check: string) => findings.filter((each) => each.check === check);

describe('the doctor', () => {
  it('with nothing at all looks at this machine', async () => {
    const findings = await doctor();
    expect(new Set(findings.map(({ check }) => check))).toEqual(
      new Set(['programs', 'settings', 'docker', 'hosts', 'operations']),
    );
    expect(ofCheck(findings, 'programs')[0]).toMatchObject({ about: 'node', verdict: 'PASS' });
    expect(ofCheck(findings, 'hosts')[0]).toMatchObject({ about: 'this machine', verdict: 'PASS' });
  });

  it('tells of a forge.yaml that cannot be read, and goes on', async () => {
    const settings = () => loadSettings({ config: path.join(folder, 'nowhere.yaml'), environment: {} });
    const findings = await doctor({}, { settings });
    expect(ofCheck(findings, 'settings')).toMatchObject([
      { verdict: 'FAIL', text: expect.stringContaining('nowhere.yaml') },
    ]);
    expect(ofCheck(findings, 'hosts').length).toBeGreaterThan(0);
  });

  it('as a command has its exit codes, and one document', async () => {
    const none = ['--config', '/dev/null', '--env-file', '/dev/null'];
    const port = await freePort();
    const [bad, good, wrong] = await Promise.all([
      forge(['doctor', ...none, '--only', 'nodes', '--seed', `127.0.0.1:${port}`, '--json']),
      forge(['doctor', ...none, '--only', 'programs', '--quiet']),
      forge(['doctor', ...none, '--only', 'programs,stars']),
    ]);
    expect(bad.code).toBe(9);
    expect(JSON.parse(bad.stdout)).toMatchObject({
      verdict: 'FAIL',
      findings: [{ check: 'nodes', about: `127.0.0.1:${port}`, verdict: 'FAIL' }],
    });
    expect(good).toMatchObject({ code: 0, stdout: expect.stringMatching(/^PASS: /m) });
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('There is no check stars') });
  });
});

describe('the doctor of a cluster', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());
  const address = (index: number) => cluster.nodes[index]?.address ?? '';

  it('that is well finds every node, port and clock in order', async () => {
    const findings = await doctor(
      { seed: address(0) },
      { only: ['nodes', 'bus', 'clocks', 'certificates', 'cluster'] },
    );
    expect(ofCheck(findings, 'nodes')).toHaveLength(3);
    expect(ofCheck(findings, 'nodes')).toEqual(
      expect.arrayContaining([expect.objectContaining({ verdict: 'PASS', text: expect.stringMatching(/^Redis \d/) })]),
    );
    expect(ofCheck(findings, 'bus')).toMatchObject([{ verdict: 'PASS', text: '3 bus ports answer from here' }]);
    expect(ofCheck(findings, 'clocks').map(({ verdict }) => verdict)).toEqual(['PASS', 'PASS']);
    expect(ofCheck(findings, 'cluster')[0]?.text).toMatch(/^\d+ of 18 checks pass$/);
    expect(findings.some(({ verdict }) => verdict === 'FAIL')).toBe(false);
  });

  it('of forge.yaml judges its host by what runs there, and its proxy', async () => {
    const port = await freePort();
    const yaml = [
      'cluster: orders',
      `nodes: [${cluster.nodes.map((node) => `"${node.address}"`).join(', ')}]`,
      `proxy: { endpoint: "127.0.0.1:${port}" }`,
    ];
    const file = path.join(folder, 'orders.yaml');
    await writeFile(file, yaml.join('\n'));
    const settings = () => loadSettings({ config: file, directory: folder, environment: {} });
    const findings = await doctor({}, { settings, only: ['settings', 'hosts', 'nodes', 'proxy'] });
    expect(ofCheck(findings, 'nodes').map(({ verdict }) => verdict)).toEqual(['PASS', 'PASS', 'PASS']);
    expect(ofCheck(findings, 'hosts')[0]).toMatchObject({ about: '127.0.0.1', verdict: 'PASS' });
    expect(ofCheck(findings, 'proxy')).toMatchObject([{ verdict: 'FAIL', text: 'nothing listens there' }]);
  });

  it('with a dead node and one that hangs tells of both, in time', async () => {
    const hung = cluster.nodes[1];
    await cluster.nodes[2]?.kill();
    await hung?.kill('SIGSTOP');
    try {
      const begun = performance.now();
      const findings = await doctor({ seed: address(0) });
      expect(performance.now() - begun).toBeLessThan(12_000);
      const failed = ofCheck(findings, 'nodes').filter(({ verdict }) => verdict === 'FAIL');
      expect(failed.map(({ about }) => about).sort()).toEqual([address(1), address(2)].sort());
      expect(ofCheck(findings, 'cluster').some(({ verdict }) => verdict === 'FAIL')).toBe(true);
      expect(ofCheck(findings, 'hosts').length).toBeGreaterThan(0);
    } finally {
      await hung?.kill('SIGCONT');
    }
  });
});

describe.runIf(canSetClocks)('the doctor of nodes whose clocks differ', () => {
  it('tells which one is ahead, and by how much', async () => {
    const library = path.join(folder, 'wall-clock.so');
    const source = path.resolve(import.meta.dirname, '../torture/wall-clock.c');
    execFileSync('gcc', ['-shared', '-fPIC', '-O2', '-o', library, source]);
    const offset = Buffer.alloc(8);
    offset.writeBigInt64LE(25n);
    await writeFile(path.join(folder, 'offset'), offset);
    const executable = path.join(folder, 'redis-ahead');
    const words = `LD_PRELOAD=${library} WALL_CLOCK_OFFSET=${path.join(folder, 'offset')}`;
    await writeFile(executable, `#!/bin/sh\nexec env ${words} redis-server "$@"\n`, { mode: 0o755 });
    const [right, alsoRight] = await startServers(2);
    const ahead = await startRedis({ executable });
    try {
      const seed = [right, ahead, alsoRight].map((each) => each?.address).join(',');
      const findings = await doctor({ seed }, { only: ['clocks'] });
      expect(findings).toMatchObject([
        {
          verdict: 'FAIL',
          text: expect.stringMatching(`the clock of ${ahead.address} is 2[45]\\.\\d s ahead of that of`),
        },
        { verdict: 'PASS' },
      ]);
    } finally {
      await Promise.all([right, alsoRight, ahead].map((each) => each?.stop()));
    }
  });
});

describe('the doctor of a server that would leave out transactions', () => {
  it('says how that is mended', async () => {
    const rules = ['on', 'nopass', '~mine:*', '&*', '+@all'];
    const server = await startRedis({ args: ['--appendonly', 'yes', '--user', 'default', ...rules] });
    try {
      const look = () => doctor({ seed: server.address }, { only: ['nodes'] });
      expect(await look()).toMatchObject([
        {
          verdict: 'FAIL',
          text: expect.stringContaining('MULTI'),
          next: expect.stringContaining('ACL SETUSER default'),
        },
      ]);
      await server.call('ACL', 'SETUSER', 'default', '~*');
      expect(await look()).toMatchObject([{ verdict: 'PASS' }]);
    } finally {
      await server.stop();
    }
  });
});

describe('the doctor of nodes that are not there', () => {
  let silent: Server;
  beforeAll(async () => {
    // It reads and never answers.
    silent = createServer((socket) => socket.on('error', () => undefined).resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => new Promise((resolve) => silent.close(resolve)));

  it('ends in time, and tells of each', async () => {
    const { port } = silent.address() as { port: number };
    const seed = `127.0.0.1:${port},127.0.0.1:1`;
    const begun = performance.now();
    const findings = await doctor({ seed }, { only: ['nodes', 'bus', 'clocks', 'cluster'] });
    expect(performance.now() - begun).toBeLessThan(12_000);
    expect(ofCheck(findings, 'nodes').map(({ verdict }) => verdict)).toEqual(['FAIL', 'FAIL']);
    expect(ofCheck(findings, 'cluster')).toMatchObject([{ verdict: 'FAIL' }]);
  });

  it('gives up what does not end', async () => {
    const { port } = silent.address() as { port: number };
    const findings = await doctor({ seed: `127.0.0.1:${port}` }, { only: ['nodes'], limitMs: 200 });
    expect(findings).toMatchObject([
      { check: 'nodes', verdict: 'UNKNOWN', text: expect.stringContaining('did not end') },
    ]);
  });
});

describe('the doctor of a cluster with TLS', () => {
  let authority: Authority;
  let cluster: RedisCluster;
  beforeAll(async () => {
    authority = await makeAuthority();
    const files = await authority.issue({ name: 'short', names: ['IP:127.0.0.1'], until: inDays(20) });
    const connect = { ca: await readFile(authority.ca) };
    cluster = await startCluster({ tls: { ...files, ca: authority.ca, connect } });
  });
  afterAll(async () => {
    await cluster?.stop();
    await authority?.remove();
  });

  it('warns of certificates that end soon', async () => {
    const seed = cluster.nodes[0]?.address;
    const findings = await doctor({ seed, cacert: authority.ca }, { only: ['nodes', 'certificates'] });
    expect(ofCheck(findings, 'nodes').map(({ verdict }) => verdict)).toEqual(['PASS', 'PASS', 'PASS']);
    const found = ofCheck(findings, 'certificates');
    expect(found.map(({ verdict }) => verdict)).toEqual(['WARN', 'WARN', 'WARN']);
    expect(found[0]?.text).toMatch(/ends in 19 days/);
  });

  it('tells of certificates that it cannot trust, by what they show', async () => {
    const other = await makeAuthority();
    try {
      const seed = cluster.nodes[0]?.address;
      const findings = await doctor({ seed, cacert: other.ca }, { only: ['certificates'] });
      expect(findings.filter(({ verdict }) => verdict === 'FAIL')).toMatchObject([
        { text: expect.stringMatching(/not trusted: .*(SIGN|VERIFY|ISSUER)/) },
      ]);
    } finally {
      await other.remove();
    }
  });
});
