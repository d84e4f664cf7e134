/** Commands for a proxy that nobody has named, and what they show of it: local clusters, as their users meet them. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TopReport } from '../../../src/proxy/control/top/report.js';
import { forge } from '../../support/forge.js';
import { freePort } from '../../support/ports.js';
import { proxyExecutable } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll } from '../../support/redis.js';
import { ROOT } from '../../support/repository.js';

const PYTHON = '/usr/bin/python3';
const SEEN_MS = 20_000;
/** The proxy shows the times of whole intervals of five seconds. */
const TIMES_MS = 12_000;
/** A key that would clear the screen of whoever looks at it. */
const EVIL = 'evil:\u001b[2J\nkey';

let home: string;
let env: NodeJS.ProcessEnv;
const run = (...args: string[]) => forge(args, { env });
const json = async <T>(...args: string[]): Promise<T> => {
  const result = await run(...args, '--json');
  expect(result.stderr).toBe('');
  return JSON.parse(result.stdout) as T;
};

const pidFileOf = (name: string) => path.join(home, name, 'proxy/proxy.pid');
const up = async (name: string) => {
  const { code, stderr } = await run('up', '--name', name, '--sharded', '2', '--base-port', 'auto');
  expect(`${code} ${code === 0 ? '' : stderr}`).toBe('0 ');
};

async function connect(name: string): Promise<RawClient> {
  const { proxy, passwordFile } = await json<{ proxy: { port: number }; passwordFile: string }>(
    'status',
    '--name',
    name,
  );
  const client = await RawClient.connect({ port: proxy.port });
  await client.call('AUTH', (await readFile(passwordFile, 'utf8')).trim());
  return client;
}

beforeAll(async () => {
  process.env['FORGE_PROXY_BIN'] ??= proxyExecutable();
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-choice-'));
  env = { FORGE_HOME: home, FORGE_PROXY_PID_FILE: undefined };
  await up('one');
});

afterAll(async () => {
  for (const name of ['one', 'two']) await run('down', '--name', name, '--purge', '--yes');
  await rm(home, { recursive: true, force: true });
});

/** `forge` on a terminal of its own. */
class OnTerminal {
  shown = '';
  readonly ended: Promise<number | null>;
  private readonly child: ChildProcessWithoutNullStreams;

  constructor(...args: string[]) {
    const words = [
      path.join(ROOT, 'test/support/terminal.py'),
      process.execPath,
      path.join(ROOT, 'bin/run.js'),
      ...args,
    ];
    this.child = spawn(PYTHON, words, { env: { ...process.env, ...env, TERM: 'xterm', NO_COLOR: '1' } });
    this.child.stdout.setEncoding('utf8').on('data', (text) => {
      this.shown += text;
    });
    this.ended = new Promise((resolve) => this.child.once('close', resolve));
  }

  get pages(): string[] {
    return this.shown.split('\u001b[H').slice(1);
  }

  /** Waits until a text has been shown so many times. */
  async sees(text: string, times = 1): Promise<void> {
    await poll(`"${text}" is shown ${times} times`, SEEN_MS, () => this.shown.split(text).length > times);
  }

  type(keys: string): void {
    this.child.stdin.write(keys);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

describe('with one local cluster, and no flag that says which proxy', () => {
  const using = /^Using the proxy of the local cluster "one", process \d+\.$/m;

  it('status, reload and upgrade find its proxy, and say so', async () => {
    const status = await run('proxy', 'status');
    expect(status).toMatchObject({ code: 0, stdout: expect.stringMatching(/^State +up$/m) });
    expect(status.stderr).toMatch(using);
    const reload = await run('proxy', 'reload');
    expect(reload).toMatchObject({ code: 0, stdout: 'The configuration is the same.\n' });
    expect(reload.stderr).toMatch(using);
    const quiet = await run('proxy', 'reload', '--quiet');
    expect(quiet).toMatchObject({ code: 0, stderr: '' });
    const upgrade = await run('proxy', 'upgrade', '--drain-time', '1', '--shutdown-time', '2');
    expect(upgrade.stderr).toMatch(using);
    expect(upgrade).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Process \d+ .*serves/) });
    const [, pid] = /^Process (\d+)/.exec(upgrade.stdout) ?? [];
    // What made the cluster knows its proxy, too.
    expect(await json('status', '--name', 'one')).toMatchObject({ health: 'up', proxy: { pid: Number(pid) } });
    expect(await json('proxy', 'reload', '--dry-run')).toMatchObject({
      pidFile: pidFileOf('one'),
      outcome: 'dry run',
    });
    expect(await json('proxy', 'status')).toMatchObject({ pidFile: pidFileOf('one'), pid: Number(pid) });
  });

  it('a cluster that there is not is an error that names those that there are', async () => {
    const { code, stderr } = await run('proxy', 'stop', '--name', 'other');
    expect(code).toBe(4);
    expect(stderr).toMatch(/There is no local cluster "other"[\s\S]*There are: one/);
  });

  it('a folder without any is about the standard place, and the usual admin address', async () => {
    const elsewhere = await mkdtemp(path.join(os.tmpdir(), 'forge-nothing-'));
    try {
      const stop = await run('proxy', 'stop', '--home', elsewhere);
      expect(stop).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining(`${elsewhere}/proxy.pid`) });
      const reload = await run('proxy', 'reload', '--home', elsewhere);
      expect(reload.code).toBe(4);
    } finally {
      await rm(elsewhere, { recursive: true });
    }
  });
});

describe('forge proxy top and hotkeys', () => {
  let client: RawClient;
  let running = true;
  let load: Promise<void>;

  beforeAll(async () => {
    client = await connect('one');
    load = (async () => {
      for (let round = 0; running; round++) {
        await client.pipeline([
          ['GET', 'hot'],
          ['GET', EVIL],
          ['SET', `cold:${round}`, 'x'],
          ['INCR', 'list'],
          ['LPUSH', 'list', 'x'],
        ]);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
  });

  afterAll(async () => {
    running = false;
    await load;
    client.close();
  });

  it('show rates, times, upstreams and keys in one document', async () => {
    const report = await poll('times are there', TIMES_MS, async () => {
      const found = await json<TopReport>('proxy', 'top', '--interval', '1');
      return found.clients.p99Ms !== null && found.hotKeys.length > 0 && found;
    });
    expect(report.state).toBe('LIVE');
    expect(report.seconds).toBeGreaterThan(0.9);
    expect(report.clients.connections).toBe(1);
    const of = (name: string) => report.commands.find(({ command }) => command === name);
    const [get, set, push] = [of('get'), of('set'), of('lpush')];
    // Two of them in each round, against one.
    expect((get?.perSecond ?? 0) / (set?.perSecond ?? 1)).toBeCloseTo(2, 0);
    expect(get?.p50Ms).toBeGreaterThan(0);
    expect(get?.p99Ms).toBeGreaterThanOrEqual(get?.p50Ms ?? 0);
    // "list" is a number by then: every push is an error.
    // One may be counted, and its answer be on its way.
    expect((push?.errorsPerSecond ?? 0) / (push?.perSecond ?? 1)).toBeCloseTo(1, 1);
    expect(get?.errorsPerSecond).toBe(0);
    const [upstream] = report.upstreams;
    expect(upstream).toMatchObject({ type: 'sharded', lastError: '' });
    expect(upstream?.perSecond).toBeCloseTo(report.clients.perSecond, -2);
    expect(upstream?.hosts.map(({ health }) => health)).toEqual(['healthy', 'healthy']);
    const keys = report.hotKeys.map(({ key }) => key);
    expect(keys).toEqual(expect.arrayContaining(['hot', EVIL, 'list']));
    const list = await json<{ hotKeys: { key: string; writesPerSecond: number }[] }>(
      'proxy',
      'hotkeys',
      '--count',
      '3',
    );
    expect(list.hotKeys).toHaveLength(3);
    expect(list.hotKeys.find(({ key }) => key === 'list')?.writesPerSecond).toBeGreaterThan(0);
  });

  it('show them as tables elsewhere than on a terminal, and obey no key', async () => {
    const { code, stdout, stderr } = await run('proxy', 'top', '--interval', '1', '--sort', 'errors');
    expect(code).toBe(0);
    expect(stderr).toMatch(/^Using the proxy of the local cluster "one"/);
    const lines = stdout.split('\n');
    expect(lines[0]).toMatch(/^forge-proxy \S+ {2}LIVE {2}process \d+ {2}up .* {2}memory \d+\.\d MB$/);
    expect(lines[1]).toMatch(/^clients 1 {2}in flight \d+ {2}commands\/s \d+ {2}p50 \d\.\d\d ms/);
    expect(lines[3]).toMatch(/^COMMAND +RATE\/S +SHARE +ERRORS\/S +P50 MS +P99 MS +TOTAL$/);
    expect(lines[4]).toMatch(/^lpush /);
    expect(stdout).toMatch(/^UPSTREAM .*STATE$/m);
    expect(stdout).toMatch(/^ {2}127\.0\.0\.1:\d+ .*master$/m);
    expect(stdout).toContain('evil:\\u001b[2J\\u000akey');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is looked at.
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
    const hotkeys = await run('proxy', 'hotkeys', '--name', 'one');
    expect(hotkeys).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^ *RATE\/S .*KEY\n/) });
    expect(hotkeys.stdout).toContain('evil:\\u001b[2J\\u000akey');
  });

  it.each([
    ['q', (terminal: OnTerminal) => terminal.type('q'), 0],
    ['Ctrl-C', (terminal: OnTerminal) => terminal.type('\u0003'), 0],
    ['SIGTERM', (terminal: OnTerminal) => terminal.signal('SIGTERM'), 143],
  ])('are drawn on a terminal until %s, which is left as it was', async (_, leave, code) => {
    const terminal = new OnTerminal('proxy', 'top', '--interval', '1');
    await terminal.sees('COMMAND', 3);
    leave(terminal);
    expect(await terminal.ended).toBe(code);
    const [before = '', page = ''] = terminal.shown.split('\u001b[?1049h');
    expect(before).toContain('Using the proxy of the local cluster "one"');
    // Rates come with the second page, as do keys of other people's choice with any.
    expect(page).toMatch(/commands\/s \d/);
    expect(page).toContain('evil:\\u001b[2J\\u000akey');
    expect(page).not.toContain('evil:\u001b');
    expect(page).toContain('\u001b[?7h\u001b[?25h\u001b[?1049l');
    const after = page.slice(page.lastIndexOf('\u001b[?1049l'));
    expect(after).not.toContain('COMMAND');
    expect(after).toMatch(/ECHO 1$/);
  });

  it('go on while the proxy does not answer, say since when, and see it again', async () => {
    const { pid } = await json<{ pid: number }>('proxy', 'status', '--name', 'one');
    const terminal = new OnTerminal('proxy', 'top', '--interval', '1', '--name', 'one');
    await terminal.sees('COMMAND', 2);
    process.kill(pid, 'SIGSTOP');
    await terminal.sees('Since 20').finally(() => process.kill(pid, 'SIGCONT'));
    await poll('it is seen again', SEEN_MS, () => !terminal.pages.at(-1)?.includes('Since 20'));
    terminal.type('q');
    expect(await terminal.ended).toBe(0);
    const silent = terminal.pages.filter((page) => page.includes('Since 20'));
    for (const page of silent) {
      expect(page).toMatch(/^The proxy's admin page did not answer within 2000 ms\. \(127\.0\.0\.1:\d+\) Since 20.*:/);
      // What was seen last stays there.
      expect(page).toContain('COMMAND');
    }
  });

  it('of an address that nobody answers at end with exit code 4', async () => {
    const admin = `127.0.0.1:${await freePort()}`;
    for (const command of ['top', 'hotkeys']) {
      const { code, stderr } = await run('proxy', command, '--admin', admin);
      expect(code).toBe(4);
      expect(stderr).toContain(admin);
    }
  });
});

describe('with two local clusters', () => {
  it('nothing is done before it is said which one is meant', async () => {
    await up('two');
    for (const command of ['status', 'reload', 'upgrade', 'stop', 'top', 'hotkeys']) {
      const { code, stdout, stderr } = await run('proxy', command);
      expect(`${command} ${code}`).toBe(`${command} 2`);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/2 proxies run here; say which one is meant\./);
      expect(stderr).toMatch(new RegExp(`--name one {3}\\(process \\d+, ${pidFileOf('one')}\\)`));
      expect(stderr).toMatch(/--name two {3}\(process \d+, /);
    }
    for (const name of ['one', 'two']) expect(await json('status', '--name', name)).toMatchObject({ health: 'up' });
  });

  it('the one that is said is stopped, and then there is only one', async () => {
    expect(await run('proxy', 'stop', '--name', 'two')).toMatchObject({ code: 0, stdout: 'The proxy is stopped.\n' });
    expect(await json('status', '--name', 'one')).toMatchObject({ health: 'up' });
    expect(await json('proxy', 'stop')).toMatchObject({ pidFile: pidFileOf('one'), outcome: 'ended' });
    const both = await run('proxy', 'stop', '--name', 'one', '--pid-file', pidFileOf('two'));
    expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining('each say which proxy') });
  });
});
