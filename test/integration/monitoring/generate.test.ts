/** The command as people run it, and its files in the eyes of promtool and amtool. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forge } from '../../support/forge.js';
import { FORGE_YAML } from '../../support/monitoring.js';

const CHECK_MS = 20_000;
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

  it('changes nothing the second time, and only what differs after a change', async () => {
    await generate();
    const again = JSON.parse((await generate(['--json'])).stdout);
    expect(again.files.map(({ action }: { action: string }) => action)).toEqual(Array(10).fill('keep'));
    write(FORGE_YAML.replace('nodes:\n', 'nodes:\n  - 10.0.0.4:6379@zone-a\n'));
    const { files } = JSON.parse((await generate(['--json'])).stdout);
    expect(
      files.filter(({ action }: { action: string }) => action === 'change').map((each: { path: string }) => each.path),
    ).toEqual([
      'prometheus/targets/orders.redis.json',
      'prometheus/targets/orders.node.json',
      'prometheus/targets/orders.redis-exporter.json',
    ]);
  });

  it('writes nothing with --dry-run', async () => {
    const { code, stdout } = await generate(['--dry-run']);
    expect([code, stdout]).toEqual([0, expect.stringContaining('10 of 10 files would be written')]);
    expect(readdirSync(directory)).toEqual(['forge.yaml']);
  });

  it('never replaces what somebody else wrote, unless it is told to', async () => {
    mkdirSync(path.join(directory, 'monitoring', 'prometheus'), { recursive: true });
    writeFileSync(path.join(directory, 'monitoring', 'prometheus', 'prometheus.yml'), 'global: {}\n');
    const { code, stderr } = await generate();
    expect([code, stderr]).toEqual([5, expect.stringContaining('Somebody else wrote')]);
    expect(everything().map((file) => path.basename(file))).toEqual(['prometheus.yml']);
    expect(read('prometheus/prometheus.yml')).toBe('global: {}\n');
    expect((await generate(['--force'])).code).toBe(0);
    expect(read('prometheus/prometheus.yml')).toContain('redisforge-redis');
  });

  it('leaves no file without a reader behind: others may read all but the secrets', async () => {
    const umask = process.umask(0o077);
    try {
      await generate();
    } finally {
      process.umask(umask);
    }
    expect(new Set(everything().map((file) => statSync(file).mode & 0o777))).toEqual(new Set([0o644]));
  });

  it.each([
    ['no forge.yaml', undefined, [], 3, 'There is no forge.yaml that names a cluster'],
    ['a cluster without nodes', 'cluster: orders\n', [], 3, 'names no nodes of orders'],
    ['another cluster', FORGE_YAML, ['--name', 'carts'], 2, 'There is no cluster carts'],
    [
      'an address that is none',
      FORGE_YAML,
      ['--prometheus-url', 'prometheus:9090'],
      2,
      '--prometheus-url is no address',
    ],
    [
      'a webhook that this Alertmanager cannot have',
      `${FORGE_YAML}monitoring: { alertmanager_version: "0.25", alertmanager: { webhook: { url: { environment: X } } } }\n`,
      [],
      3,
      'takes no address of a webhook from a file',
    ],
  ])('refuses %s', async (_, forgeYaml, args, code, message) => {
    if (forgeYaml === undefined) rmSync(path.join(directory, 'forge.yaml'));
    else write(forgeYaml);
    const result = await generate(args);
    expect([result.code, result.stderr]).toEqual([code, expect.stringContaining(message)]);
    expect(readdirSync(directory)).not.toContain('monitoring');
  });

  it('tells of a folder that cannot be written', async () => {
    const { code, stderr } = await generate(['/proc/nowhere']);
    expect([code, stderr]).toEqual([3, expect.stringContaining('cannot be written')]);
    writeFileSync(path.join(directory, 'file'), '');
    const onFile = await generate(['file']);
    expect([onFile.code, onFile.stderr]).toEqual([3, expect.stringContaining('cannot be read (ENOTDIR)')]);
  });
});
