import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isStale } from '../../../scripts/build/parts.js';
import { parseTarget, THIS_MACHINE } from '../../../src/host/target.js';
import { PATHS } from '../../../src/host/tune/change.js';
import { applyTune, applyUndo, prepareTune, prepareUndo } from '../../../src/host/tune/tune.js';
import { ROOT } from '../../support/repository.js';
import { canSsh, startSshHost } from '../../support/sshd.js';
import { canNamespace, type NamespacedHost, startNamespace } from './namespace.js';

const COMMAND = 'forge host tune';

/** Every file below the folder, with its content. */
async function tree(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => path.join(entry.parentPath, entry.name));
  const read = async (file: string) =>
    [file.slice(folder.length), await readFile(file, 'utf8').catch(() => 'link')] as const;
  return Object.fromEntries(await Promise.all(files.map(read)));
}

describe.runIf(canNamespace)('forge host tune on a host', () => {
  let host: NamespacedHost;
  beforeEach(async () => {
    if (isStale('cli')) throw new Error('dist/ is older than src/. Run: npm run build');
    host = await startNamespace();
  });
  afterEach(() => host.stop());

  function tune(...args: string[]) {
    const [program = '', ...enter] = host.enter;
    const words = [
      ...enter,
      process.execPath,
      path.join(ROOT, 'bin/run.js'),
      'host',
      'tune',
      '--config',
      '/dev/null',
      ...args,
    ];
    const { status, stdout, stderr } = spawnSync(program, words, { cwd: '/', encoding: 'utf8', timeout: 60_000 });
    return { code: status, stdout, stderr };
  }
  const value = (file: string) => host.sh(`cat ${file}`);
  const KERNEL = {
    overcommit: '/proc/sys/vm/overcommit_memory',
    swappiness: '/proc/sys/vm/swappiness',
    queue: '/proc/sys/net/core/somaxconn',
    reserved: '/proc/sys/net/ipv4/ip_local_reserved_ports',
    pages: '/sys/kernel/mm/transparent_hugepage/enabled',
  };
  const kernel = () => Object.fromEntries(Object.entries(KERNEL).map(([name, file]) => [name, value(file)]));
  const files = () => host.sh('find /etc/sysctl.d /etc/systemd/system /var/lib | sort');

  it('changes what is wrong, now and for the next start; again, nothing; and undoes it exactly', () => {
    const before = { kernel: kernel(), files: files() };
    const shared = readFileSync(KERNEL.overcommit, 'utf8');
    const shown = tune('--dry-run', '--port', '40000');
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain("echo '4096' > /proc/sys/net/core/somaxconn    # was: 128");
    expect({ kernel: kernel(), files: files() }).toEqual(before);

    expect(tune('--yes', '--port', '40000')).toMatchObject({ code: 0 });
    expect(kernel()).toMatchObject({
      overcommit: '1',
      swappiness: '10',
      queue: '4096',
      reserved: '40000,50000',
      pages: 'madvise',
    });
    expect(value(PATHS.sysctl).split('\n')).toEqual(
      expect.arrayContaining(['vm.overcommit_memory = 1', 'net.core.somaxconn = 4096']),
    );
    expect(host.sh(`readlink ${PATHS.unitLink}; stat -c %a ${PATHS.sysctl} ${PATHS.state}`)).toBe(
      '../redisforge-huge-pages.service\n644\n600',
    );
    expect(readFileSync(KERNEL.overcommit, 'utf8')).toBe(shared);

    const tuned = { kernel: kernel(), files: files() };
    expect(tune('--yes', '--port', '40000').stdout).toContain('Nothing to change.');
    expect({ kernel: kernel(), files: files() }).toEqual(tuned);

    expect(tune('--undo', '--yes')).toMatchObject({ code: 0 });
    // A file stands in for the list of modes; the kernel's own would show the brackets again.
    expect(kernel()).toEqual({ ...before.kernel, pages: 'always' });
    expect(files()).toBe(before.files);
    expect(tune('--undo', '--yes')).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing was changed') });
  });

  it('run twice, with an operator in between, restores what is ours and leaves what is the operator’s', () => {
    host.sh(`echo 'net.ipv4.tcp_sack = 1' > ${PATHS.sysctl}`);
    expect(tune('--yes').stdout).toContain('net.ipv4.tcp_sack');
    host.sh(`echo 200 > ${KERNEL.queue}; echo 20 > ${KERNEL.swappiness}`);
    expect(tune('--yes')).toMatchObject({ code: 0 });
    expect(kernel()).toMatchObject({ queue: '4096', swappiness: '10' });
    host.sh(`echo 5 > ${KERNEL.swappiness}; echo '# mine' >> ${PATHS.unit}`);
    const undone = tune('--undo', '--yes');
    expect(undone).toMatchObject({ code: 0 });
    expect(undone.stdout).toMatch(/left vm\.swappiness: somebody set it to 5 since; before, it was 20/);
    expect(undone.stdout).toMatch(/left .*huge-pages\.service: somebody changed it since/);
    expect(kernel()).toMatchObject({ queue: '200', swappiness: '5', overcommit: '0' });
    expect(value(PATHS.sysctl)).toBe('net.ipv4.tcp_sack = 1');
    expect(value(PATHS.unit)).toContain('# mine');
  });

  it('tells of a key that is read-only here, and sets the others', () => {
    host.sh(`mount --bind ${KERNEL.queue} ${KERNEL.queue} && mount -o remount,bind,ro ${KERNEL.queue}`);
    const { code, stdout } = tune('--yes');
    expect(code).toBe(8);
    expect(stdout).toMatch(/cannot net\.core\.somaxconn: it is read-only/);
    expect(kernel()).toMatchObject({ overcommit: '1', queue: '128' });
  });

  it('that fails half-way says what is done, what is not, and how to take it back, which works', () => {
    const before = kernel();
    host.sh('mount --bind /etc/sysctl.d /etc/sysctl.d && mount -o remount,bind,ro /etc/sysctl.d');
    const { code, stderr } = tune('--yes');
    expect(code).toBe(8);
    expect(stderr).toMatch(/99-redisforge\.conf cannot be written/);
    expect(stderr).toMatch(/Done before: vm\.overcommit_memory, vm\.swappiness, net\.core\.somaxconn, huge-pages/);
    expect(stderr).toMatch(/Not begun: .*huge-pages\.service/);
    expect(stderr).toMatch(/--undo/);
    expect(tune('--undo', '--yes')).toMatchObject({ code: 0 });
    expect(kernel()).toEqual({ ...before, pages: 'always' });
  });

  it('is refused to whoever is not root, with the command that helps', () => {
    const words = ['setpriv', '--reuid=65534', '--clear-groups', process.execPath, path.join(ROOT, 'bin/run.js')];
    const [program = '', ...enter] = host.enter;
    const args = [...enter, ...words, 'host', 'tune', '--yes', '--config', '/dev/null', '--env-file', '/dev/null'];
    const { status, stderr } = spawnSync(program, args, { cwd: '/', encoding: 'utf8', timeout: 60_000 });
    expect(stderr).toMatch(/Only root/);
    expect(stderr).toMatch(/sudo (?:npx )?forge host tune/);
    expect(status).toBe(11);
  });

  it('without a terminal and without --yes changes nothing', () => {
    const before = kernel();
    expect(tune()).toMatchObject({ code: 5 });
    expect(kernel()).toEqual(before);
  });

  it('waits for nobody: while another tunes, it is told so', () => {
    host.sh('mkdir -p /var/lib/redisforge/host-tune.lock');
    expect(tune('--yes')).toMatchObject({ code: 6 });
    host.sh('touch -d "10 minutes ago" /var/lib/redisforge/host-tune.lock');
    expect(tune('--yes')).toMatchObject({ code: 0 });
  });
});

describe('an image', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'forge-image-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it.runIf(canSsh)('on another host over SSH gets its files, and loses them again', async () => {
    const host = await startSshHost();
    try {
      const target = parseTarget(host.address);
      const options = { root: folder, environment: host.environment };
      await applyTune(await prepareTune({ target }, options), COMMAND);
      expect(Object.keys(await tree(folder)).sort()).toEqual(
        [PATHS.sysctl, PATHS.unit, PATHS.unitLink, PATHS.dockerLimits, PATHS.state].sort(),
      );
      expect((await prepareTune({ target }, options)).plan.changes).toEqual([]);
      const undo = await prepareUndo({ target }, options);
      if (undo === undefined) throw new Error('nothing to undo');
      await applyUndo(undo, COMMAND);
      expect(await tree(folder)).toEqual({});
    } finally {
      await host.stop();
    }
  });

  it('that has files of these names gets them back; a link is left alone', async () => {
    await mkdir(path.join(folder, 'etc/sysctl.d'), { recursive: true });
    await writeFile(path.join(folder, PATHS.sysctl), 'vm.swappiness = 1\n');
    await mkdir(path.join(folder, 'etc/systemd/system'), { recursive: true });
    await symlink('/dev/null', path.join(folder, PATHS.unit));
    const before = await tree(folder);
    const tuning = await prepareTune({ target: THIS_MACHINE }, { root: folder });
    expect(tuning.plan.impossible).toMatchObject([{ name: PATHS.unit }]);
    await applyTune(tuning, COMMAND);
    expect(await readFile(path.join(folder, PATHS.sysctl), 'utf8')).toContain('vm.overcommit_memory = 1');
    const undo = await prepareUndo({ target: THIS_MACHINE }, { root: folder });
    if (undo === undefined) throw new Error('nothing to undo');
    await applyUndo(undo, COMMAND);
    expect(await tree(folder)).toEqual(before);
  });

  it('that is not there is told of', async () => {
    await expect(prepareTune({ target: THIS_MACHINE }, { root: `${folder}/nowhere` })).rejects.toMatchObject({
      kind: 'configuration',
    });
  });

  it('has a unit and a drop-in that systemd reads without a complaint', async () => {
    await applyTune(await prepareTune({ target: THIS_MACHINE }, { root: folder }), COMMAND);
    const unit = path.join(folder, PATHS.unit);
    const docker = path.join(folder, 'etc/systemd/system/docker.service');
    await writeFile(docker, '[Unit]\nDescription=docker\n[Service]\nExecStart=/bin/true\n');
    // Where there is no systemd, the files are at least what the manual has.
    expect(await readFile(unit, 'utf8')).toMatch(/^Type=oneshot$/m);
    expect(await readFile(path.join(folder, PATHS.dockerLimits), 'utf8')).toMatch(/^LimitNOFILE=\d+:\d+$/m);
    if (spawnSync('systemd-analyze', ['--version']).error !== undefined) return;
    for (const file of [unit, docker]) {
      const environment = { ...process.env, SYSTEMD_UNIT_PATH: `${path.dirname(docker)}:` };
      expect(
        execFileSync('systemd-analyze', ['verify', file], { encoding: 'utf8', env: environment, stdio: 'pipe' }),
      ).toBe('');
    }
  });
});
