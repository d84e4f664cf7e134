/** What `forge deploy redis` says when something around it is wrong, and that it leaves nothing behind then. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packArchive } from '../../../src/docker/archive.js';
import { inDays, makeAuthority } from '../../support/certificates.js';
import { type DeployedCluster, deployedCluster } from '../../support/docker/deployed.js';
import { dockerForTests, hasDocker, type TestDocker } from '../../support/docker/engine.js';
import { redisImage } from '../../support/docker/images.js';
import { forge } from '../../support/forge.js';
import { freePort } from '../../support/ports.js';
import { FULL } from '../../support/servers.js';
import { startSshHost } from '../../support/sshd.js';

const CLUSTER = `w${process.pid}`;

const realDocker = async () => (await promisify(execFile)('sh', ['-c', 'command -v docker'])).stdout.trim();

describe.skipIf(!hasDocker())('forge deploy redis, where something is wrong', () => {
  let docker: TestDocker;
  let there: DeployedCluster;
  let folder: string;
  let image: string;
  let port: number;

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    there = deployedCluster(docker, CLUSTER, 'secret');
    folder = await mkdtemp(path.join(os.tmpdir(), 'forge-deploy-'));
    image = await redisImage(docker, 'redis-7');
    port = await freePort();
  });
  afterAll(async () => {
    await there.cleanUp();
    await rm(folder, { recursive: true, force: true });
    await docker.stop();
  });

  interface Wrong {
    readonly environment?: NodeJS.ProcessEnv;
    readonly image?: string;
    /** Instead of the engine of the tests. */
    readonly engine?: string;
    /** Of `redis`. */
    readonly more?: string;
  }
  let folders = 0;

  /** Each has a folder of its own: some of them go on at once. */
  async function deployAndKeep({
    environment = {},
    engine = docker.host,
    more = 'nofile: 12000',
    ...wrong
  }: Wrong = {}) {
    folders += 1;
    const cwd = path.join(folder, String(folders));
    await mkdir(cwd);
    const lines = [
      `cluster: ${CLUSTER}`,
      `nodes: [{ host: 127.0.0.1, port: ${port}, docker_host: here }]`,
      `hosts: { here: { docker: "${engine}", address: 127.0.0.1 } }`,
      `redis: { version: "7.0", image: "${wrong.image ?? image}", network: host, ${more} }`,
    ];
    await writeFile(path.join(cwd, 'forge.yaml'), lines.join('\n'));
    return await forge(['deploy', 'redis', '--all', '--yes'], {
      cwd,
      env: { REDIS_REQUIREPASS: 'secret', FORGE_HOME: path.join(cwd, 'home'), ...environment },
    });
  }

  /** For what fails: nothing of it may be there afterwards. */
  async function deploy(wrong: Wrong = {}) {
    const result = await deployAndKeep(wrong);
    expect(await there.containers()).toEqual([]);
    // Data that a first start has made is the only thing that stays.
    expect((await there.volumes()).filter((volume) => !volume.endsWith('-data'))).toEqual([]);
    return result;
  }

  /** A PATH with a `docker` of these lines of shell before the real one. */
  async function dockerOf(...lines: string[]): Promise<NodeJS.ProcessEnv> {
    const programs = await mkdtemp(path.join(folder, 'bin-'));
    await writeFile(path.join(programs, 'docker'), `#!/bin/sh\n${lines.join('\n')}\n`, { mode: 0o755 });
    return { PATH: `${programs}:${process.env['PATH']}` };
  }

  it('says so without a docker command', async () => {
    const programs = path.join(folder, 'bin');
    await mkdir(programs);
    await symlink(process.execPath, path.join(programs, 'node'));
    const result = await deploy({ environment: { PATH: programs } });
    expect(result).toMatchObject({ code: 10, stderr: expect.stringContaining('There is no docker command') });
  });

  it('says what the server says when its port is in use', async () => {
    const server = net.createServer().listen(port, '0.0.0.0');
    try {
      const result = await deploy();
      expect(result).toMatchObject({ code: 4, stderr: expect.stringMatching(/Address already in use/) });
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('says which image is missing', async () => {
    const result = await deploy({ image: 'forge-test/nowhere:1' });
    expect(result).toMatchObject({ code: 10, stderr: expect.stringContaining('forge-test/nowhere:1') });
  });

  it('says that it may not use the engine', async () => {
    // The real docker, by the rights of nobody, at the real socket.
    const environment = await dockerOf(
      `exec setpriv --reuid=65534 --regid=65534 --clear-groups ${await realDocker()} "$@"`,
    );
    const result = await deploy({ environment });
    expect(result).toMatchObject({
      code: 11,
      stderr: expect.stringMatching(/may not use the Docker engine[\s\S]*usermod/),
    });
  });

  it('says that the engine is too old', async () => {
    const answer = '{"Client":{"Version":"28.2.2"},"Server":{"Version":"19.03.15"}}';
    const environment = await dockerOf(
      `case " $* " in *" version "*) echo '${answer}';; *) exec ${await realDocker()} "$@";; esac`,
    );
    const result = await deploy({ environment });
    expect(result).toMatchObject({
      code: 10,
      stderr: expect.stringMatching(/here is version 19\.03\.15; 20\.10 is needed/),
    });
  });

  it('says that a host hangs, asks for a password, or is not there', { timeout: 60_000 }, async () => {
    const silent = net.createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const host = await startSshHost(['AuthorizedKeysFile none', 'PasswordAuthentication yes']);
    const ssh = (at: number) => `ssh://root@127.0.0.1:${at}`;
    try {
      const [hangs, asks, gone] = await Promise.all([
        deploy({ engine: ssh((silent.address() as AddressInfo).port) }),
        deploy({ engine: host.address, environment: host.environment }),
        deploy({ engine: ssh(await freePort()) }),
      ]);
      expect(hangs).toMatchObject({
        code: 4,
        stderr: expect.stringMatching(/here (?:cannot be reached|does not answer)[\s\S]*Try: ssh -p/),
      });
      expect(asks).toMatchObject({ code: 11, stderr: expect.stringMatching(/without a password[\s\S]*ssh-copy-id/) });
      expect(gone).toMatchObject({ code: 4, stderr: expect.stringMatching(/Connection refused/) });
    } finally {
      await host.stop();
      silent.close();
    }
  });

  it('says that the disk is full, and has undone what it had made', async () => {
    // The volume of the node's files is there already, and holds two pages.
    const volume = `${CLUSTER}-redis-${port}-config-1`;
    await docker.run([
      'volume',
      'create',
      ...['type=tmpfs', 'device=tmpfs', 'o=size=8k'].flatMap((each) => ['--opt', each]),
      volume,
    ]);
    const result = await deploy();
    expect(result).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/disk of the Docker engine on here is full/),
    });
    expect(await docker.try(['volume', 'inspect', volume])).toBe(false);
  });

  it('says that the image has no server', async () => {
    const empty = `forge-test/empty:${CLUSTER}`;
    const entry = { path: 'nothing', content: 'x', mode: 0o644, uid: 0, gid: 0 };
    await docker.run(['import', '-', empty], Readable.from(packArchive([entry], new Date(0))));
    try {
      const result = await deploy({ image: empty });
      expect(result).toMatchObject({ code: 10, stderr: expect.stringMatching(/image has no program \/bin\/sh/) });
    } finally {
      await docker.run(['rmi', empty]);
    }
  });

  it('says which certificates have expired, are for others, or belong to another key', async () => {
    const authority = await makeAuthority();
    const certificates = path.join(folder, 'certs');
    const node = path.join(certificates, 'nodes', '127.0.0.1');
    try {
      await mkdir(node, { recursive: true });
      await copyFile(authority.ca, path.join(certificates, 'ca.crt'));
      const good = authority.server;
      const old = await authority.issue({ name: 'old', names: ['IP:127.0.0.1'], from: inDays(-9), until: inDays(-2) });
      const others = await authority.issue({ name: 'others', names: ['IP:10.9.9.9'] });
      for (const [certificate, key, words] of [
        [old.certificate, old.key, /expired on/],
        [others.certificate, others.key, /127\.0\.0\.1/],
        [good.certificate, others.key, /key/],
      ] as const) {
        await copyFile(certificate, path.join(node, 'server.crt'));
        await copyFile(key, path.join(node, 'server.key'));
        const { code, stderr } = await deploy({ more: `tls: { directory: "${certificates}" }` });
        expect(code, stderr).toBe(3);
        expect(stderr).toMatch(words);
        expect(stderr).toContain('forge gen-certs');
      }
    } finally {
      await authority.remove();
    }
  });

  it('says where settings contradict each other, or are none, before it asks any engine', async () => {
    const environment = await dockerOf('exit 99');
    for (const [more, said] of [
      ['memory: 100mb, settings: { maxmemory: 1gb }', /forge\.yaml:4:\d+: redis\.memory: [\s\S]*below maxmemory/],
      ['nofile: 2000', /redis\.nofile: [\s\S]*more than the 2000 open files/],
      ['settings: { maxmemori: 1gb }', /maxmemori[\s\S]*maxmemory/],
    ] as const) {
      expect(await deploy({ environment, more }), more).toMatchObject({ code: 3, stderr: expect.stringMatching(said) });
    }
  });

  it.runIf(FULL)('takes an engine as it is that opens fewer files than nobody has asked for', async () => {
    const limit = Number(
      await docker.run(['run', '--rm', '--network', 'none', '--entrypoint', 'sh', image, '-c', 'ulimit -Hn']),
    );
    const settings = { more: 'settings: { maxclients: 900 }' };
    const made = await deployAndKeep(settings);
    expect(made, made.stderr).toMatchObject({ code: 0 });
    if (limit < 65_536) expect(made.stderr).toContain(`may open ${limit} files, not 65536`);
    const given = await docker.run([
      'inspect',
      '-f',
      '{{(index .HostConfig.Ulimits 0).Hard}}',
      `${CLUSTER}-redis-${port}`,
    ]);
    expect(Number(given)).toBe(Math.min(limit, 65_536));
    expect(await deployAndKeep(settings)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('Nothing is to be done'),
    });
    await there.cleanUp();
  });
});
