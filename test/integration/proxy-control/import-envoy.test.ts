/** `forge proxy import-envoy` as people run it; the proxy's own executable checks what comes out. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findProxyExecutable } from '../../../src/proxy/control/executable.js';
import { forge } from '../../support/forge.js';
import { ARTICLE, CLUSTER, INLINE_SECRETS } from '../../unit/proxy/import-envoy/envoy-files.js';

const run = promisify(execFile);
let directory: string;
let file: string;
let clusterFile: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-import-envoy-'));
  file = path.join(directory, 'envoy.yaml');
  clusterFile = path.join(directory, 'cluster.yaml');
  const password = path.join(directory, 'password');
  await writeFile(password, 'from-a-file\n', { mode: 0o600 });
  await writeFile(file, ARTICLE);
  await writeFile(clusterFile, CLUSTER.replace(/\/run\/secrets\/\w+/g, password));
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

const importEnvoy = (...args: string[]) => forge(['proxy', 'import-envoy', ...args]);

/** What the executable says of a configuration. */
async function check(yaml: string, variables: string[]): Promise<string> {
  const config = path.join(directory, 'proxy.yaml');
  await writeFile(config, yaml);
  const env = Object.fromEntries(variables.map((name) => [name, 'set']));
  const { stdout } = await run(findProxyExecutable(), ['--check', '--config', config], { env });
  return stdout;
}

describe('forge proxy import-envoy', () => {
  it('writes what the proxy takes to standard output, and its remarks elsewhere', async () => {
    const { code, stdout, stderr } = await importEnvoy(file);
    expect(code).toBe(0);
    expect(await check(stdout, [])).toContain('the configuration is valid');
    expect(stderr).toBe('Warning: admin.access_log_path: not carried over: there is nothing like it here\n');
  });

  it('tells all that is lost with --json, and no password', async () => {
    const { code, stdout, stderr } = await importEnvoy(clusterFile, '--json');
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ file: clusterFile, output: null, listener: 'redis' });
    expect(result.notes.length).toBeGreaterThan(15);
    expect(stderr.match(/^Warning: /gm)).toHaveLength(result.notes.length);
    for (const secret of INLINE_SECRETS) expect(stdout + stderr).not.toContain(secret);
    const variables = result.environment.map(({ name }: { name: string }) => name);
    expect(await check(result.yaml, [...variables, 'CLIENTS_PASSWORD'])).toContain('the configuration is valid');
  });

  it('writes a file, and over one that is there only with --yes', async () => {
    const output = path.join(directory, 'out.yaml');
    expect(await importEnvoy(file, '--output', output)).toMatchObject({ code: 0, stdout: `Written: ${output}\n` });
    const written = await readFile(output, 'utf8');
    expect(written).toContain('type: sharded');
    await writeFile(output, 'precious');
    expect(await importEnvoy(file, '--output', output)).toMatchObject({ code: 5 });
    expect(await readFile(output, 'utf8')).toBe('precious');
    expect(await importEnvoy(file, '--output', output, '--yes')).toMatchObject({ code: 0 });
    expect(await readFile(output, 'utf8')).toBe(written);
  });

  it('ends with 3 for a file that is missing, no Envoy configuration or not writable, with 2 for no such listener', async () => {
    const other = path.join(directory, 'other.yaml');
    await writeFile(other, 'a: 1\n');
    expect(await importEnvoy(path.join(directory, 'none.yaml'))).toMatchObject({ code: 3, stdout: '' });
    expect(await importEnvoy(other)).toMatchObject({ code: 3, stdout: '' });
    expect(await importEnvoy(file, '--output', path.join(directory, 'no', 'where.yaml'))).toMatchObject({ code: 3 });
    expect(await importEnvoy(file, '--listener', 'x')).toMatchObject({ code: 2 });
    const json = await importEnvoy(other, '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ error: { kind: 'configuration', exitCode: 3 } });
  });
});
