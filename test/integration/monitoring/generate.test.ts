/** The command as people run it, and its files in the eyes of promtool and amtool. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseForgeFile } from '../../../src/config/forge-file.js';
import type { ForgeError } from '../../../src/errors.js';
import { type GenerateOptions, generateMonitoring } from '../../../src/monitoring/generate.js';
import { forge } from '../../support/forge.js';
import { FORGE_YAML } from '../../support/monitoring.js';

const CHECK_MS = 20_000;
const TARGETS = 'prometheus/targets/orders.redis.json';
const SECRET = 'https://hooks.example/T0/very-secret';
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'forge-generate-'));
  write(FORGE_YAML);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function write(text: string): void {
  writeFileSync(path.join(directory, 'forge.yaml'), text);
}

const generate = (args: string[] = [], env: NodeJS.ProcessEnv = {}) =>
  forge(['monitoring', 'generate', ...args], { cwd: directory, env });
const read = (file: string) => readFileSync(path.join(directory, 'monitoring', file), 'utf8');
const check = (program: string, ...args: string[]) =>
  execFileSync(program, args, { cwd: path.join(directory, 'monitoring'), encoding: 'utf8', timeout: CHECK_MS });
const everything = () =>
  (readdirSync(path.join(directory, 'monitoring'), { recursive: true, encoding: 'utf8' }) as string[])
    .map((name) => path.join(directory, 'monitoring', name))
    .filter((name) => statSync(name).isFile());

const EVERYBODY = `${FORGE_YAML}monitoring:
  alertmanager_version: "0.25"
  alertmanager:
    discord: { webhook: { environment: DISCORD_WEBHOOK } }
    slack: { webhook: { filename: slack }, channel: "#redis" }
    mail: { to: [a@example.org], from: b@example.org, smarthost: "mail.example.org:587", username: forge, password: { environment: MAIL_PASSWORD } }
    webhook: { address: "http://10.0.0.1:8080/" }
`;

describe('forge monitoring generate', () => {
  it('writes what promtool and amtool find right', async () => {
    write(EVERYBODY);
    writeFileSync(path.join(directory, 'slack'), `${SECRET}\n`);
    const { code, stdout } = await generate([], { DISCORD_WEBHOOK: SECRET, MAIL_PASSWORD: 'pw' });
    expect([code, stdout]).toEqual([0, expect.stringContaining('13 of 13 files written')]);
    expect(check('promtool', 'check', 'config', 'prometheus/prometheus.yml')).toContain('1 rule files found');
    expect(check('amtool', 'check-config', 'alertmanager/alertmanager.yml')).toContain('SUCCESS');
  });

  it('has secrets in files for their owner alone, and nowhere else', async () => {
    write(EVERYBODY);
    writeFileSync(path.join(directory, 'slack'), `${SECRET}\n`);
    const { stdout, stderr } = await generate(['--json'], { DISCORD_WEBHOOK: SECRET, MAIL_PASSWORD: 'hunter2' });
    expect(stdout + stderr).not.toMatch(/very-secret|hunter2/);
    const holders = everything().filter((file) => /very-secret|hunter2/.test(readFileSync(file, 'utf8')));
    expect(holders.map((file) => path.basename(file)).sort()).toEqual([
      'discord-webhook',
      'mail-password',
      'slack-webhook',
    ]);
    expect(holders.map((file) => statSync(file).mode & 0o777)).toEqual([0o600, 0o600, 0o600]);
    expect(read('alertmanager/secrets/slack-webhook')).toBe(SECRET);
  });

  it('says which secret is missing, and into which file it belongs', async () => {
    write(EVERYBODY);
    const { code, stderr } = await generate(['--secrets', '/etc/alertmanager/secrets']);
    expect(code).toBe(0);
    expect(stderr).toContain(
      'DISCORD_WEBHOOK is not set: write the secret into /etc/alertmanager/secrets/discord-webhook',
    );
    expect(stderr).toContain(`${path.join(directory, 'slack')} cannot be read`);
    expect(read('alertmanager/alertmanager.yml')).toContain('/etc/alertmanager/secrets/discord-webhook');
  });

  it('writes nothing with --dry-run', async () => {
    const { code, stdout } = await generate(['--dry-run']);
    expect([code, stdout]).toEqual([0, expect.stringContaining('10 of 10 files would be written')]);
    expect(readdirSync(directory)).toEqual(['forge.yaml']);
  });

  it.each([
    ['no forge.yaml', undefined, [], 3, 'There is no forge.yaml that names a cluster'],
    ['another cluster', FORGE_YAML, ['--name', 'carts'], 2, 'There is no cluster carts'],
    [
      'an address that is none',
      FORGE_YAML,
      ['--prometheus-url', 'prometheus:9090'],
      2,
      '--prometheus-url is no address',
    ],
  ])('refuses %s', async (_, forgeYaml, args, code, message) => {
    if (forgeYaml === undefined) rmSync(path.join(directory, 'forge.yaml'));
    else write(forgeYaml);
    const result = await generate(args);
    expect([result.code, result.stderr]).toEqual([code, expect.stringContaining(message)]);
    expect(readdirSync(directory)).not.toContain('monitoring');
  });
});

describe('the files in a folder', () => {
  const into = (forgeYaml = FORGE_YAML, options: Partial<GenerateOptions> = {}) => {
    const [cluster] = parseForgeFile(forgeYaml, 'forge.yaml').clusters;
    if (cluster === undefined) throw new Error('the file names no cluster');
    return generateMonitoring({
      ...{ cluster, environment: {}, folder: directory, directory: path.join(directory, 'monitoring') },
      ...{ dryRun: false, force: false },
      ...options,
    });
  };
  const fails = (forgeYaml: string, options: Partial<GenerateOptions> = {}) =>
    into(forgeYaml, options).then(
      () => 'it did not fail',
      (error: ForgeError) => `${error.kind}: ${error.message}`,
    );

  it('stay as they are the second time, and only what differs is changed after a change', async () => {
    expect(new Set((await into()).files.map(({ action }) => action))).toEqual(new Set(['create']));
    expect(new Set((await into()).files.map(({ action }) => action))).toEqual(new Set(['keep']));
    const { files } = await into(FORGE_YAML.replace('nodes:\n', 'nodes:\n  - 10.0.0.4:6379@zone-a\n'));
    expect(files.filter(({ action }) => action === 'change').map((file) => file.path)).toEqual([
      'prometheus/targets/orders.redis.json',
      'prometheus/targets/orders.node.json',
      'prometheus/targets/orders.redis-exporter.json',
    ]);
  });

  it('are never in the place of what somebody else wrote, unless it is asked for', async () => {
    mkdirSync(path.join(directory, 'monitoring', 'prometheus'), { recursive: true });
    writeFileSync(path.join(directory, 'monitoring', 'prometheus', 'prometheus.yml'), 'global: {}\n');
    expect(await fails(FORGE_YAML)).toMatch(/^refused: Somebody else wrote .*prometheus\.yml/);
    expect(everything().map((file) => path.basename(file))).toEqual(['prometheus.yml']);
    expect(read('prometheus/prometheus.yml')).toBe('global: {}\n');
    await into(FORGE_YAML, { force: true });
    expect(read('prometheus/prometheus.yml')).toContain('redisforge-redis');
  });

  it('can be read by those who need them, whatever the umask', async () => {
    const umask = process.umask(0o077);
    try {
      await into();
    } finally {
      process.umask(umask);
    }
    expect(new Set(everything().map((file) => statSync(file).mode & 0o777))).toEqual(new Set([0o644]));
  });

  it('are whole at any moment, for a reader that looks all the time', async () => {
    const nodes = Array.from({ length: 300 }, (_, index) => `  - 10.1.${index >> 8}.${index & 255}:6379`).join('\n');
    const large = `cluster: orders\nnodes:\n${nodes}\n`;
    await into(large);
    const lengths = new Set<number>();
    let writing = true;
    const reading = (async () => {
      while (writing) {
        lengths.add(
          (JSON.parse(await readFile(path.join(directory, 'monitoring', TARGETS), 'utf8')) as unknown[]).length,
        );
      }
    })();
    for (let round = 0; round < 20; round++) await into(round % 2 === 0 ? FORGE_YAML : large);
    writing = false;
    await reading;
    expect([...lengths].filter((length) => length !== 300 && length !== 6)).toEqual([]);
    expect(everything().filter((file) => path.basename(file).startsWith('.'))).toEqual([]);
  });

  it('are not begun for what cannot be', async () => {
    expect(await fails('cluster: orders\n')).toMatch(/^configuration: .*names no nodes of orders/);
    const webhook =
      'monitoring: { alertmanager_version: "0.25", alertmanager: { webhook: { url: { environment: X } } } }';
    expect(await fails(`${FORGE_YAML}${webhook}\n`)).toContain('configuration: Alertmanager 0.25 takes no address');
    expect(readdirSync(directory)).toEqual(['forge.yaml']);
  });

  it('have a folder that can be written, or it is told which cannot', { timeout: 20_000 }, async () => {
    expect(await fails(FORGE_YAML, { directory: '/proc/nowhere' })).toMatch(/^configuration: .*cannot be written/);
    const file = path.join(directory, 'forge.yaml');
    expect(await fails(FORGE_YAML, { directory: file })).toMatch(/^configuration: .*cannot be read \(ENOTDIR\)/);
    expect(await fails(FORGE_YAML, { directory: '/dev/full/monitoring' })).toMatch(/^configuration: /);
  });
});
