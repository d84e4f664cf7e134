import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseFacts } from '../../../src/host/facts.js';
import { checkHosts, lookAt } from '../../../src/host/look.js';
import { openShell } from '../../../src/host/shell.js';
import { parseTarget, THIS_MACHINE } from '../../../src/host/target.js';
import { ROOT } from '../../support/repository.js';
import { canSsh, type SshHost, startSshHost } from '../../support/sshd.js';

const SCRIPT = path.join(ROOT, 'templates/host-facts.sh');

describe('this machine', () => {
  it('tells what the kernel says', async () => {
    const facts = await lookAt(openShell(THIS_MACHINE));
    const kernel = async (file: string) => (await readFile(`/proc/sys/${file}`, 'utf8')).trim();
    expect(facts.sysctls.get('vm.overcommit_memory')).toBe(await kernel('vm/overcommit_memory'));
    expect(facts.sysctls.get('net.core.somaxconn')).toBe(await kernel('net/core/somaxconn'));
    expect(facts).toMatchObject({
      system: 'Linux',
      kernel: os.release(),
      cpus: os.cpus().length,
      user: process.getuid?.(),
    });
    expect(facts.memoryBytes).toBe(os.totalmem());
  });

  it('tells it within a second, and writes nothing', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'forge-host-'));
    try {
      const looks: number[] = [];
      for (let look = 0; look < 5; look++) {
        const begun = performance.now();
        await lookAt(openShell(THIS_MACHINE), { folders: [folder] });
        looks.push(performance.now() - begun);
      }
      // The quickest: other tests run on the same processors.
      expect(Math.min(...looks)).toBeLessThan(1_000);
      const facts = await lookAt(openShell(THIS_MACHINE), { folders: [folder] });
      expect(await readdir(folder)).toEqual([]);
      expect(facts.disks[0]).toMatchObject({ folder, found: folder, answers: true });
      expect(facts.disks[0]?.freeBytes).toBeGreaterThan(0);
      expect(facts.fsync).toBeUndefined();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('measures its disk and leaves no file behind; of a folder that is not there yet, the nearest above it', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'forge-host-'));
    try {
      const facts = await lookAt(openShell(THIS_MACHINE), { folders: [`${folder}/not/there it is`], measure: true });
      expect(facts.disks[0]).toMatchObject({ folder: `${folder}/not/there it is`, found: folder });
      expect(facts.fsync).toBeGreaterThan(0);
      expect(await readdir(folder)).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('says the same by every POSIX shell that is here', () => {
    const shells = [['bash', '--posix'], ['dash'], ['busybox', 'sh']].filter(([program = '']) => {
      try {
        execFileSync(program, ['-c', 'true'].slice(program === 'busybox' ? 2 : 0), { stdio: 'ignore' });
        return true;
      } catch {
        return false;
      }
    });
    expect(shells.length).toBeGreaterThan(0);
    const found = shells.map(([program = '', ...args]) => {
      const text = execFileSync(program, [...args, SCRIPT, 'no', '/'], { encoding: 'utf8' });
      const { sysctls, hugePages, memoryBytes, boot } = parseFacts(text, program);
      return { keys: [...sysctls.keys()], hugePages, memoryBytes, boot };
    });
    for (const each of found) expect(each).toEqual(found[0]);
  });

  it('that hangs is given up', async () => {
    const shell = openShell(THIS_MACHINE);
    await expect(shell.run('sleep 30 & sleep 30', [], { timeoutMs: 300 })).rejects.toMatchObject({ kind: 'timeout' });
  });

  it('that never stops talking is given up', async () => {
    await expect(openShell(THIS_MACHINE).run('yes', [])).rejects.toMatchObject({ kind: 'verification' });
  });
});

describe.runIf(canSsh)('another host over SSH', () => {
  let host: SshHost;
  beforeAll(async () => {
    host = await startSshHost();
  });
  afterAll(() => host.stop());

  const shellBy = (environment = host.environment) => openShell(parseTarget(host.address), { environment });

  it('tells the same as here', async () => {
    const there = await lookAt(shellBy(), { folders: ["/tmp/it's $(not) there"] });
    const here = await lookAt(openShell(THIS_MACHINE));
    expect(there.kernel).toBe(here.kernel);
    expect([...there.sysctls.keys()]).toEqual([...here.sysctls.keys()]);
    expect(there.disks[0]).toMatchObject({ folder: "/tmp/it's $(not) there", found: '/tmp' });
  });

  it('passes words and input on as they are', async () => {
    const words = ['a b', "it's", '$HOME', '', '*', 'line\nline'];
    const { stdout, code } = await shellBy().run('cat; printf "<%s>" "$@"; exit 3', words, { input: 'in ' });
    expect(stdout).toBe(`in ${words.map((word) => `<${word}>`).join('')}`);
    expect(code).toBe(3);
  });

  it('that asks for a password is told at once, with what to do', async () => {
    const begun = performance.now();
    await expect(lookAt(shellBy(await host.withoutKey()))).rejects.toMatchObject({
      kind: 'denied',
      next: [expect.stringContaining('ssh-copy-id')],
    });
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  it('whose key is not known is told at once', async () => {
    await expect(lookAt(shellBy(await host.asStranger()))).rejects.toMatchObject({
      kind: 'denied',
      message: expect.stringContaining('host key'),
    });
  });

  it('does not hold others up when it is not there', async () => {
    const hosts = await checkHosts([{ target: parseTarget('ssh://127.0.0.1:1') }, { target: THIS_MACHINE }]);
    expect(hosts[0]).toMatchObject({ host: '127.0.0.1', failure: { kind: 'unreachable' } });
    expect(hosts[1]?.health?.findings.length).toBeGreaterThan(5);
  });
});
