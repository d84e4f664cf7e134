/** `forge up`, `status` and `down` as their users meet them: words, JSON, exit codes. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forge } from '../../support/forge.js';
import { freePortBlock } from '../../support/ports.js';

let home: string;
let base: number;
const run = (...args: string[]) => forge(args, { env: { FORGE_HOME: home } });

beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-commands-'));
  base = await freePortBlock(5);
});

afterAll(async () => {
  await run('down', '--purge', '--yes');
  await rm(home, { recursive: true });
});

describe('without a cluster', () => {
  it('status says so with exit code 4, and how to get one', async () => {
    const { code, stdout, stderr } = await run('status');
    expect(code).toBe(4);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/There is no local cluster "local"[\s\S]*forge up/);
  });

  it('down has nothing to do, and that is no error', async () => {
    expect(await run('down')).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing to stop') });
  });

  it.each([
    [['--masters', '2'], /at least 3 masters/],
    [['--base-port', '70000'], /--base-port 70000: that is no port/],
    [['--base-port', '60000'], /bus port/],
    [['--name', '../other'], /is not a name/],
  ])('up %j is refused as a wrong use', async (args, words) => {
    const { code, stderr } = await run('up', ...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(words);
  });
});

describe('with a cluster', () => {
  it('up tells the endpoint, and where the password is, but not the password', async () => {
    const ports = ['--base-port', String(base), '--proxy-port', String(base + 3), '--admin-port', String(base + 4)];
    const { code, stdout, stderr } = await run('up', '--masters', '3', '--replicas', '0', '--smoke-test', ...ports);
    expect(stderr).toContain('Smoke test');
    expect(code).toBe(0);
    const file = path.join(home, 'local/secrets/endpoint');
    expect(stdout).toContain(`127.0.0.1:${base + 3}`);
    expect(stdout).toContain(`REDISCLI_AUTH="$(cat ${file})" redis-cli -p ${base + 3}`);
    expect(stdout).toContain('forge down');
    expect(stdout + stderr).not.toContain(await readFile(file, 'utf8'));
  });

  it('up again says that it is up, in under three seconds', async () => {
    const begun = performance.now();
    const { code, stdout } = await run('up', '--smoke-test');
    expect(performance.now() - begun).toBeLessThan(3_000);
    expect(code).toBe(0);
    expect(stdout).toContain('is up already');
  });

  it('status shows every node, and the slots', async () => {
    const { code, stdout } = await run('status');
    expect(code).toBe(0);
    for (const port of [base, base + 1, base + 2, base + 3]) expect(stdout).toContain(`127.0.0.1:${port}`);
    expect(stdout).toMatch(/A{10,}B{10,}C{10,} {2}16384 of 16384 served/);
  });

  it('status --json is one document with everything in it', async () => {
    const { stdout, stderr } = await run('status', '--json');
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({
      health: 'up',
      slotsServed: 16_384,
      nodes: [{ role: 'master' }, {}, {}],
    });
  });

  it('status ends with 9 when a part is down, and up mends it', async () => {
    expect(await run('proxy', 'stop', '--pid-file', path.join(home, 'local/proxy/proxy.pid'))).toMatchObject({
      code: 0,
    });
    const { code, stdout } = await run('status', '--all');
    expect(code).toBe(9);
    expect(stdout).toContain('degraded');
    expect(await run('up', '--quiet')).toMatchObject({ code: 0 });
    expect(await run('status')).toMatchObject({ code: 0 });
  });

  it('another shape is refused with exit code 5', async () => {
    const { code, stderr } = await run('up', '--masters', '5');
    expect(code).toBe(5);
    expect(stderr).toContain('--masters 5, but it has 3');
  });

  it('one of two at once is turned away with exit code 6', async () => {
    await run('down');
    const codes = (await Promise.all([run('up'), run('up')])).map(({ code }) => code);
    // The second may also come when the first is done already.
    expect(codes.filter((code) => code === 0 || code === 6)).toHaveLength(2);
    expect(codes).toContain(0);
  });

  it('down --purge asks first, and there is nobody to ask', async () => {
    expect((await run('down', '--purge')).code).toBe(5);
    expect(await run('status')).toMatchObject({ code: 0 });
  });

  it('down keeps the data, status then ends with 4', async () => {
    expect(await run('down')).toMatchObject({ code: 0, stdout: expect.stringContaining(path.join(home, 'local')) });
    expect(await run('status')).toMatchObject({ code: 4 });
  });
});
