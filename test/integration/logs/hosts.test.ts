import { spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ForgeError } from '../../../src/errors.js';
import { HostSession } from '../../../src/host/session.js';
import { parseTarget } from '../../../src/host/target.js';
import { rotateOnHosts } from '../../../src/logs/hosts.js';
import { RemoteFolder } from '../../../src/logs/remote-folder.js';
import { type RotateRequest, rotateLogs } from '../../../src/logs/rotate.js';
import { forge } from '../../support/forge.js';
import { startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, startRedis } from '../../support/redis.js';
import { canSsh, type SshHost, startSshHost } from '../../support/sshd.js';

const WAIT_MS = 20_000;
/** Runs that are killed, each later than the one before: from the login to the end. */
const KILLS = process.env['FORGE_TORTURE'] === 'full' ? 200 : 8;
const KILL_BASE_MS = 100;
const KILL_STEP_MS = 1_200 / KILLS;
const KILLS_LIMIT_MS = 15 * 60_000;

let directory: string;
let cleanUp: (() => unknown)[];
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-logs-'));
  cleanUp = [() => rm(directory, { recursive: true, force: true })];
});
afterEach(async () => {
  for (const clean of cleanUp.reverse()) await clean();
});

const file = (name: string) => path.join(directory, name);
const text = (name: string) => {
  const bytes = readFileSync(file(name));
  return (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
};
const signal = () => new AbortController().signal;

describe.skipIf(!canSsh)('logs on a host over SSH', () => {
  let host: SshHost;
  let session: HostSession;
  beforeAll(async () => {
    host = await startSshHost();
    session = await open();
  });
  afterAll(async () => {
    await session?.close();
    await host?.stop();
  });
  const open = (environment = host.environment) =>
    RemoteFolder.session(parseTarget(host.address, new Set()), { environment, signal: signal() });
  const rotate = async (more: Partial<RotateRequest> = {}) => {
    const files = new RemoteFolder(session, directory);
    await files.enter();
    const request = { directory, bytes: 1, count: 99, patterns: ['*.log'], dryRun: false, ...more };
    return rotateLogs(request, signal(), files);
  };
  it('become the next numbers, compressed, with their mode, owner and time; the oldest go', async () => {
    for (let round = 0; round < 4; round++) {
      writeFileSync(file('redis.log'), `round ${round}`, { mode: 0o640 });
      chmodSync(file('redis.log'), 0o640);
      const { logs } = await rotate({ count: 2 });
      expect(logs).toMatchObject([{ log: 'redis.log', rotated: true, bytes: 7 }]);
    }
    expect(readdirSync(directory).sort()).toEqual(['redis.log', 'redis.log.1.gz', 'redis.log.2.gz']);
    expect([text('redis.log'), text('redis.log.1.gz'), text('redis.log.2.gz')]).toEqual(['', 'round 3', 'round 2']);
    for (const name of readdirSync(directory)) expect(statSync(file(name)).mode & 0o777).toBe(0o640);
    expect((await rotate({ bytes: 1_000 })).logs.map(({ steps }) => steps)).toEqual([[]]);
  });

  it('are only looked at with a dry run', async () => {
    writeFileSync(file('a.log'), 'x');
    const { logs } = await rotate({ dryRun: true });
    expect(logs[0]?.steps).toEqual(['rotate a.log to a.log.1', 'compress a.log.1 to a.log.1.gz']);
    expect(readdirSync(directory)).toEqual(['a.log']);
  });

  it('of Redis and of the proxy lose no line', async () => {
    const redis = await startRedis({ args: ['--logfile', file('redis.log')] });
    cleanUp.push(() => redis.stop());
    const proxy = await startProxy({
      config: {
        clusters: [{ name: 'one', type: 'sharded', endpoints: [redis.address] }],
        listeners: [{ name: 'redis', cluster: 'one' }],
        access_log: { path: file('access.log'), include_keys: true, format: 'text' },
      },
      until: 'listening',
    });
    cleanUp.push(() => proxy.stop());
    const client = await RawClient.connect({ port: proxy.port });
    cleanUp.push(() => client.close());
    let written = 0;
    for (let round = 0; round < 3; round++) {
      const asking = (async () => {
        for (let i = 0; i < 100; i++) await client.call('SET', `line ${written++} `, 'x');
      })();
      const [{ logs }] = await Promise.all([rotate(), asking]);
      expect(logs.map(({ left }) => left)).toEqual([undefined, undefined]);
    }
    const whole = () =>
      readdirSync(directory)
        .filter((name) => name.startsWith('access.log'))
        .map(text)
        .join('');
    await poll('all is written', WAIT_MS, () => [...whole().matchAll(/line (\d+)\b/g)].length === written);
  });

  it('are copied and emptied where a program goes on in the same file, and left where that would tear a hole', async () => {
    const start = (redirect: string, name: string) => {
      const writer = spawn(
        '/bin/sh',
        ['-c', `exec ${redirect} "$0"; echo begun; read forever; echo more`, file(name)],
        {
          stdio: ['pipe', 'ignore', 'ignore'],
        },
      );
      cleanUp.push(() => writer.kill('SIGKILL'));
      return writer;
    };
    const writer = start('>>', 'appends.log');
    start('>', 'places.log');
    await poll('they write', WAIT_MS, () =>
      ['appends.log', 'places.log'].every((name) => existsSync(file(name)) && text(name) !== ''),
    );
    const { logs } = await rotate();
    expect(logs.map(({ log, rotated, left }) => [log, rotated, left])).toEqual([
      ['appends.log', true, undefined],
      ['places.log', false, expect.stringContaining('writes to its own place')],
    ]);
    expect([text('appends.log'), text('appends.log.1.gz'), text('places.log')]).toEqual(['', 'begun\n', 'begun\n']);
    writer.stdin?.write('\n');
    await poll('it goes on', WAIT_MS, () => text('appends.log') === 'more\n');
  });

  it('are not what is a link, nor what has another name', async () => {
    writeFileSync(file('foreign'), 'foreign');
    symlinkSync(file('foreign'), file('link.log'));
    writeFileSync(file('twice.log'), 'twice');
    linkSync(file('twice.log'), file('other-name'));
    writeFileSync(file("quote' $(touch owned).log"), 'odd');
    writeFileSync(file('two\nlines.log'), 'odd');
    const before = readdirSync(directory);
    const { logs } = await rotate();
    expect(logs.map(({ log }) => log)).toEqual(["quote' $(touch owned).log"]);
    expect(readdirSync(directory).sort()).toEqual([...before, "quote' $(touch owned).log.1.gz"].sort());
    expect([text('foreign'), text('twice.log')]).toEqual(['foreign', 'twice']);
  });

  it('are finished where a run was ended: what is whole stays, what is torn goes', async () => {
    writeFileSync(file('a.log'), 'now');
    writeFileSync(file('a.log.1'), 'plain');
    writeFileSync(file('a.log.1.gz'), 'torn');
    writeFileSync(file('a.log.2.gz.forge-part'), 'torn');
    await rotate({ bytes: 1_000 });
    expect(readdirSync(directory).sort()).toEqual(['a.log', 'a.log.1.gz']);
    expect([text('a.log'), text('a.log.1.gz')]).toEqual(['now', 'plain']);
    // A copy that was whole, of a log that was emptied: it is the only one.
    writeFileSync(file('b.log'), 'later');
    writeFileSync(file('b.log.1.forge-part'), 'earlier');
    await rotate({ bytes: 1_000 });
    expect([text('b.log'), text('b.log.1.gz')]).toEqual(['later', 'earlier']);
  });

  it('are locked for runs here and there, and the lock of a dead one is taken over', async () => {
    writeFileSync(file('a.log'), 'x');
    const files = new RemoteFolder(session, directory);
    await files.enter();
    await files.locked(async () => {
      const request = { directory, bytes: 1, count: 9, patterns: ['*.log'], dryRun: false };
      const refused = await rotateLogs(request, signal()).catch((error: unknown) => error);
      expect(refused).toMatchObject({ kind: 'locked' });
      const other = await open();
      const there = new RemoteFolder(other, directory);
      await there.enter();
      expect(await rotateLogs(request, signal(), there).catch((error: unknown) => error)).toMatchObject({
        kind: 'locked',
        message: expect.stringMatching(/forge rotate-logs \(process \d+\) is at work on/),
      });
      await other.close();
    });
    expect(readdirSync(directory)).toEqual(['a.log']);
    writeFileSync(
      file('.forge-rotate-logs.lock'),
      '{"pid":4194303,"start":"0:1","purpose":"forge rotate-logs","token":"1"}',
    );
    expect((await rotate()).logs[0]?.rotated).toBe(true);
    expect(readdirSync(directory).sort()).toEqual(['a.log', 'a.log.1.gz']);
  });

  it('are given back when the connection breaks', async () => {
    const other = await open();
    const files = new RemoteFolder(other, directory);
    await files.enter();
    await files.locked(async () => {
      expect(readdirSync(directory)).toEqual(['.forge-rotate-logs.lock']);
      await other.close();
    });
    await poll('the lock is gone', WAIT_MS, () => readdirSync(directory).length === 0);
    expect(await files.names().catch((error: unknown) => error)).toBeInstanceOf(ForgeError);
  });

  it(
    'lose nothing when the connection is killed at any moment',
    async () => {
      const lines: string[] = [];
      const target = parseTarget(host.address, new Set());
      for (let round = 0; round < KILLS; round++) {
        // As Redis writes: the file is opened for every line.
        const more = Array.from({ length: 200 }, (_, index) => `line ${round * 200 + index}\n`);
        for (const line of more) appendFileSync(file('redis.log'), line);
        lines.push(...more);
        const controller = new AbortController();
        const folder = { directory, bytes: 1, count: 99, patterns: ['*.log'] };
        const options = { dryRun: false, environment: host.environment, signal: controller.signal };
        const run = rotateOnHosts([{ target, folders: [folder] }], options).catch(() => undefined);
        const timer = setTimeout(() => controller.abort(new Error('killed')), KILL_BASE_MS + round * KILL_STEP_MS);
        await run;
        clearTimeout(timer);
      }
      // The shell of a killed run may still be at its last step.
      await poll('a run goes through', WAIT_MS, () => rotate().then(...([() => true, () => false] as const)));
      const rotated = readdirSync(directory).filter((name) => /^redis\.log\.\d+\.gz$/.test(name));
      const number = (name: string) => Number(/\d+/.exec(name)?.[0]);
      const oldestFirst = rotated.sort((one, other) => number(other) - number(one));
      expect([...oldestFirst, 'redis.log'].map(text).join('')).toBe(lines.join(''));
      expect(readdirSync(directory).sort()).toEqual([...rotated, 'redis.log'].sort());
    },
    KILLS_LIMIT_MS,
  );

  it('are rotated on several hosts at once, and who cannot be reached holds nobody up', async () => {
    writeFileSync(file('a.log'), 'x');
    const folder = { directory, bytes: 1, count: 3, patterns: ['*.log'] };
    const targets = [parseTarget(host.address, new Set()), parseTarget('ssh://127.0.0.1:1', new Set())];
    const hosts = await rotateOnHosts(
      targets.map((target) => ({ target, folders: [folder, { ...folder, directory: '/nowhere' }] })),
      { dryRun: false, environment: host.environment, signal: signal() },
    );
    expect(hosts[0]?.folders).toMatchObject([
      { directory, result: { logs: [{ log: 'a.log', rotated: true }] } },
      { directory: '/nowhere', failure: { kind: 'usage', message: expect.stringContaining('no folder /nowhere') } },
    ]);
    expect(hosts[1]).toMatchObject({ folders: [], failure: { kind: 'unreachable' } });
    const stranger = await rotateOnHosts([{ target: targets[0] as never, folders: [folder] }], {
      dryRun: false,
      environment: await host.withoutKey(),
      signal: signal(),
    });
    expect(stranger[0]).toMatchObject({ failure: { kind: 'denied' } });
  });

  it('end with Ctrl-C', async () => {
    const controller = new AbortController();
    const target = parseTarget(host.address, new Set());
    const stopped = await HostSession.open(target, 'long() { sleep 60; }', {
      environment: host.environment,
      signal: controller.signal,
    });
    const waiting = stopped.call(['long'], { timeoutMs: 60_000 });
    controller.abort(new ForgeError('interrupted', 'Ctrl-C'));
    await expect(waiting).rejects.toMatchObject({ kind: 'interrupted' });
    await stopped.close();
    const late = await HostSession.open(target, 'long() { sleep 60; }', {
      environment: host.environment,
      signal: signal(),
    });
    await expect(late.call(['long'], { timeoutMs: 200 })).rejects.toMatchObject({ kind: 'timeout' });
    await late.close();
  });

  it('are those that forge.yaml names', async () => {
    writeFileSync(file('a.log'), 'x');
    const config = file('forge.yaml');
    const settings = [
      'cluster: orders',
      'nodes: ["127.0.0.1:7000"]',
      `hosts: { one: { docker: "${host.address}" }, two: { docker: "unix:///var/run/docker.sock" } }`,
      'logs:',
      `  - { directory: ${directory}, size_mb: 0.000001, count: 2, hosts: [one] }`,
    ];
    writeFileSync(config, settings.join('\n'));
    const run = (...more: string[]) =>
      forge(['rotate-logs', '--config', config, ...more], { env: host.environment as Record<string, string> });
    const shown = await run('--all', '--dry-run', '--json');
    expect(shown.code).toBe(0);
    const { hosts } = JSON.parse(shown.stdout);
    expect(hosts).toMatchObject([
      { folders: [] },
      { host: 'one', folders: [{ directory, result: { dryRun: true, logs: [{ log: 'a.log', rotated: true }] } }] },
    ]);
    expect(existsSync(file('a.log.1.gz'))).toBe(false);
    expect(await run('--host', 'one')).toMatchObject({ code: 0 });
    expect(text('a.log.1.gz')).toBe('x');
    expect(await run('--host', 'ssh://127.0.0.1:1')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no folder'),
    });
    expect((await run(directory, '1', '1', '--host', 'ssh://127.0.0.1:1')).code).toBe(4);
    appendFileSync(config, '\n  - { directory: /x, size_mb: 1, count: 1, hosts: [nobody] }\n');
    expect(await run('--all')).toMatchObject({ code: 3, stderr: expect.stringContaining('nobody is no host') });
    expect(await run()).toMatchObject({ code: 2, stderr: expect.stringContaining('DIR is missing') });
  });
});
