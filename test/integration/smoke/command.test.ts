import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import SmokeTest from '../../../src/commands/smoke-test.js';
import { freePort } from '../../support/ports.js';
import { type RedisServer, startRedis } from '../../support/redis.js';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const PASSWORD = 'for the command';

let server: RedisServer;
let folder: string;
let stdout: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'forge-smoke-'));
  server = await startRedis({ requirepass: PASSWORD });
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(() => {
  stdout = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  vi.stubEnv('FORGE_HOME', folder);
  vi.stubEnv('REDIS_REQUIREPASS', PASSWORD);
  vi.stubEnv('REDISCLI_AUTH', '');
  vi.stubEnv('REDIS_USERNAME', '');
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

const run = (...argv: string[]) => SmokeTest.run(argv, ROOT);

describe('forge smoke-test, the command', () => {
  it('prints one line per check and takes the password from the environment', async () => {
    await run(server.host, String(server.port));
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^RESULT +CHECK +TIME +FOUND$/);
    expect(lines.length).toBe(10);
    expect(lines.slice(1).every((line) => /^(passed|skipped) /.test(line))).toBe(true);
    expect(stdout).not.toContain(PASSWORD);
  });

  it('prints one document with --json, and nothing else', async () => {
    await run(server.address, '--json');
    expect(JSON.parse(stdout)).toMatchObject({ passed: true, target: { port: server.port, kind: 'endpoint' } });
  });

  it('takes the password from a file, and writes JUnit XML', async () => {
    vi.stubEnv('REDIS_REQUIREPASS', '');
    const passwordFile = path.join(folder, 'password');
    const junit = path.join(folder, 'smoke.xml');
    await writeFile(passwordFile, `${PASSWORD}\n`);
    await run(server.address, '--password-file', passwordFile, '--junit', junit, '--quiet');
    const xml = await readFile(junit, 'utf8');
    expect(xml).toContain('<?xml version="1.0" encoding="UTF-8"?>');
    expect(xml).toContain('failures="0" errors="0" skipped="1"');
  });

  it('writes the JUnit file of a failed run, too, and fails with the kind of its failure', async () => {
    const junit = path.join(folder, 'failed.xml');
    const port = await freePort();
    await expect(run('127.0.0.1', String(port), '--junit', junit)).rejects.toMatchObject({
      kind: 'unreachable',
      exitCode: 4,
    });
    expect(await readFile(junit, 'utf8')).toContain('<error type="unreachable"');
  });

  it('says that a JUnit file cannot be written', async () => {
    const junit = path.join(folder, 'no', 'such', 'folder.xml');
    await expect(run(server.address, '--junit', junit)).rejects.toMatchObject({ kind: 'configuration' });
  });

  it.each([
    ['a bad port', ['127.0.0.1', '0']],
    ['a bad duration', ['127.0.0.1', '1', '--timeout', 'soon']],
    ['a duration that is too long', ['127.0.0.1', '1', '--timeout', '2h']],
    ['a bad admin address', ['127.0.0.1', '1', '--admin', 'nowhere']],
    ['a URL', ['redis://127.0.0.1:1']],
  ])('refuses %s as a usage error', async (_, argv) => {
    await expect(run(...argv)).rejects.toMatchObject({ kind: 'usage' });
  });

  it('tests the local cluster’s endpoint, with its password, when nothing is named', async () => {
    vi.stubEnv('REDIS_REQUIREPASS', '');
    const adminPort = await freePort();
    const cluster = path.join(folder, 'local');
    await mkdir(path.join(cluster, 'secrets'), { recursive: true });
    await writeFile(path.join(cluster, 'secrets', 'endpoint'), PASSWORD);
    const state = {
      ...{ version: 1, createdAt: new Date().toISOString(), runtime: 'process', masters: 3, replicas: 0 },
      ...{ nodePorts: [1, 2, 3], proxy: { port: server.port, adminPort }, formed: true },
    };
    await writeFile(path.join(cluster, 'cluster.json'), JSON.stringify(state));
    // The server stands for the proxy; that its admin page is asked for shows that the whole state was taken over.
    await expect(run('--json')).rejects.toMatchObject({
      kind: 'unreachable',
      host: `127.0.0.1:${adminPort}`,
      message: expect.stringContaining('Cluster state'),
    });
  });

  it('reads forge.yaml: the endpoint of the cluster that is meant, its password, else one of its nodes', async () => {
    vi.stubEnv('REDIS_REQUIREPASS', '');
    const config = path.join(folder, 'forge.yaml');
    await writeFile(path.join(folder, 'of the file'), PASSWORD);
    const credentials = "{ password: { filename: 'of the file' } }";
    const dead = `127.0.0.1:${await freePort()}`;
    await writeFile(
      config,
      `default: front
clusters:
  front: { nodes: ['${dead}'], credentials: ${credentials}, proxy: { endpoint: '${server.address}' } }
  nodes: { nodes: ['${server.address}', '${dead}'], credentials: ${credentials} }
  watched: { credentials: ${credentials}, proxy: { endpoint: '${server.address}', admin: '${dead}' } }
`,
    );
    for (const name of [[], ['--name', 'nodes']]) {
      stdout = '';
      await run('--config', config, ...name, '--json');
      expect(JSON.parse(stdout)).toMatchObject({ passed: true, target: { port: server.port } });
    }
    await expect(run('--config', config, '--name', 'watched')).rejects.toMatchObject({ host: dead });
    await expect(run('--config', config, '--name', 'nobody')).rejects.toMatchObject({ kind: 'usage' });
    // An address alone gets no secret of forge.yaml: it may be anybody's.
    await expect(run(server.address, '--config', config)).rejects.toMatchObject({ kind: 'denied' });
    await run(server.address, '--config', config, '--name', 'front');
  });
});
