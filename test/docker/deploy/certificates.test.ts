/** `forge gen-certs --install` on a real engine: certificates and CAs change under a TLS cluster whose clients see no error. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificateFacts } from '../../../src/certs/facts.js';
import { createCertificates, renewCertificates } from '../../../src/certs/generate.js';
import { presentedFingerprint } from '../../../src/certs/live.js';
import { rotateAuthority } from '../../../src/certs/rotate.js';
import type { RotationStep } from '../../../src/certs/rotation.js';
import { wantedCertificates } from '../../../src/certs/wanted.js';
import { type DeployedCluster, deployedCluster } from '../../support/docker/deployed.js';
import { dockerForTests, hasDocker, type TestDocker } from '../../support/docker/engine.js';
import { proxyImage, redisImage } from '../../support/docker/images.js';
import { type ForgeResult, forge } from '../../support/forge.js';
import { BUS_OFFSET, freePortBlock, freePorts } from '../../support/ports.js';
import { poll } from '../../support/redis.js';
import { FULL } from '../../support/servers.js';

const CLUSTER = `k${process.pid}`;
const PASSWORD = 'certificate "secret" 1';
const HOST = '127.0.0.1';
const NODES = 6;
const COMMAND_MS = 110_000;
const LINK_MS = 30_000;
/** Handshakes cost more than anything else here. */
const PAUSE_MS = { staying: 20, anew: 100 };
/** On a machine that has much else to do; 15 s on one that has not. */
const TEST_MS = 300_000;

/** What the folder gives to a client at this moment; read again while a run is just putting its files there. */
async function clientTls(directory: string): Promise<{ ca: Buffer; cert: Buffer; key: Buffer }> {
  for (;;) {
    const [ca, cert, key] = await Promise.all(
      ['ca-bundle.crt', 'clients/forge/client.crt', 'clients/forge/client.key'].map((file) =>
        readFile(path.join(directory, file)),
      ),
    );
    if (ca === undefined || cert === undefined || key === undefined) throw new Error('no files');
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return { ca, cert, key };
  }
}

/** Clients that write all the time: over connections that stay, and over new ones with what the folder has. */
class Writers {
  readonly failures: string[] = [];
  rounds = 0;
  #running = true;
  readonly #loops: Promise<void>[];

  private constructor(
    readonly directory: string,
    readonly ports: readonly number[],
    readonly proxyPort: number,
    readonly staying: readonly (Redis | Cluster)[],
  ) {
    this.#loops = [
      ...staying.map((client, index) =>
        this.#loop(`staying ${index}`, PAUSE_MS.staying, async (round) => client.set(`s:${index}`, round)),
      ),
      this.#loop('new at a node', PAUSE_MS.anew, async (round) =>
        this.#anew(ports[round % ports.length] ?? 0, ['PING']),
      ),
      this.#loop('new at the proxy', PAUSE_MS.anew, async (round) =>
        this.#anew(proxyPort, ['SET', 'fresh', String(round)]),
      ),
    ];
  }

  static async start(directory: string, ports: readonly number[], proxyPort: number): Promise<Writers> {
    const tls = await clientTls(directory);
    // Whoever is cut off counts it, and does not try again behind one's back.
    const once = { password: PASSWORD, tls, retryStrategy: null, maxRetriesPerRequest: 0 };
    const cluster = new Cluster(
      ports.map((port) => ({ host: HOST, port })),
      { redisOptions: once, clusterRetryStrategy: () => null },
    );
    const proxy = new Redis({ ...once, host: HOST, port: proxyPort });
    const writers = new Writers(directory, ports, proxyPort, [cluster, proxy]);
    for (const client of [cluster, proxy]) client.on('error', (error: Error) => writers.failures.push(error.message));
    return writers;
  }

  async #anew(port: number, words: readonly [string, ...string[]]): Promise<void> {
    const client = new Redis({
      ...{ host: HOST, port, password: PASSWORD, tls: await clientTls(this.directory), lazyConnect: true },
      ...{ retryStrategy: null, maxRetriesPerRequest: 0 },
    });
    let reason: Error | undefined;
    client.on('error', (error: Error) => {
      reason = error;
    });
    try {
      await client.connect();
      await client.call(...words);
    } catch (error) {
      throw reason ?? error;
    } finally {
      client.disconnect();
    }
  }

  async #loop(name: string, pauseMs: number, round: (number: number) => Promise<unknown>): Promise<void> {
    for (let number = 0; this.#running; number++) {
      try {
        await round(number);
        this.rounds++;
      } catch (error) {
        this.failures.push(`${name}: ${(error as Error).message}`);
      }
      await sleep(pauseMs);
    }
  }

  /** Everybody goes on, and nobody has seen an error. */
  async expectNoErrors(after: string): Promise<void> {
    const goal = this.rounds + 20;
    await poll('clients go on', LINK_MS, () => this.rounds >= goal || this.failures.length > 0);
    expect(this.failures, after).toEqual([]);
  }

  /** Safe to call twice. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#loops);
    for (const client of this.staying) client.disconnect();
  }
}

describe.skipIf(!hasDocker())('forge gen-certs --install', { timeout: TEST_MS }, () => {
  let docker: TestDocker;
  let there: DeployedCluster;
  let folder: string;
  let directory: string;
  let ports: number[];
  let proxyPort: number;
  let writers: Writers | undefined;

  const file = (name: string) => path.join(directory, name);
  const settings = () => ({
    ...{ directory, bits: 2048, days: 365, caDays: 3650, caName: 'test CA' },
    wanted: wantedCertificates({ nodes: ports.map((port) => ({ host: HOST, port })), clients: ['forge'] }),
  });
  const renew = (newKeys: boolean) => renewCertificates({ ...settings(), withinDays: 400, newKeys });
  const rotate = (step: RotationStep) => rotateAuthority({ ...settings(), step, newKeys: false });
  const nameOf = (port: number | undefined) => `${CLUSTER}-redis-${port}`;

  async function run(...words: string[]): Promise<ForgeResult> {
    const result = await forge(words, {
      cwd: folder,
      limitMs: COMMAND_MS,
      env: { REDIS_REQUIREPASS: PASSWORD, FORGE_HOME: path.join(folder, 'home'), FORGE_CONFIG: undefined },
    });
    expect(`${result.stdout}${result.stderr}`).not.toContain(PASSWORD);
    return result;
  }
  const install = (...words: string[]) => run('gen-certs', 'certs', '--install', '--yes', '--json', ...words);
  const rows = (result: ForgeResult) => {
    expect(result, result.stderr + result.stdout).toMatchObject({ code: 0 });
    const printed = JSON.parse(result.stdout) as { status: string; nodes: { action: string; reasons: string[] }[] };
    return { ...printed, actions: [...new Set(printed.nodes.map(({ action }) => action))] };
  };

  /** Every port shows what is in the folder: clients, the bus, the proxy. */
  async function expectServed(except: readonly number[] = []): Promise<void> {
    const client = await clientTls(directory);
    const fingerprint = async (name: string) => certificateFacts(await readFile(file(name), 'utf8')).fingerprint;
    const shown = (port: number) => presentedFingerprint({ host: HOST, port, client });
    for (const port of ports.filter((each) => !except.includes(each))) {
      const wanted = await fingerprint(`nodes/${HOST}-${port}/server.crt`);
      expect(await Promise.all([shown(port), shown(port + BUS_OFFSET)]), String(port)).toEqual([wanted, wanted]);
    }
    expect(await shown(proxyPort)).toBe(await fingerprint('proxy/server.crt'));
  }

  const everybody = async (...words: string[]) =>
    Promise.all(ports.map(async (port) => (await there.redis(nameOf(port), ...words)).trim()));

  async function sound(): Promise<void> {
    await poll('nodes agree and replicas are linked', LINK_MS, async () => {
      // One that is starting has no socket yet.
      const asked = async () => [await everybody('CLUSTER', 'INFO'), await everybody('INFO', 'replication')];
      const [states = [], links = []] = await asked().catch(() => []);
      const replicas = links.filter((text) => text.includes('role:slave'));
      return (
        states.every((text) => text.includes('cluster_state:ok') && text.includes('cluster_known_nodes:6')) &&
        replicas.length === 3 &&
        replicas.every((text) => text.includes('master_link_status:up'))
      );
    });
  }

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    there = deployedCluster(docker, CLUSTER, PASSWORD);
    folder = await mkdtemp(path.join(os.tmpdir(), 'forge-install-'));
    directory = path.join(folder, 'certs');
    const first = await freePortBlock(NODES);
    ports = Array.from({ length: NODES }, (_, index) => first + index);
    const [port = 0, adminPort = 0] = await freePorts(2);
    proxyPort = port;
    const [redis, proxy] = [
      await redisImage(docker, 'redis-7', { tag: `forge-test/redis:${CLUSTER}` }),
      await proxyImage(docker, `forge-test/proxy:${CLUSTER}`),
    ];
    await writeFile(
      path.join(folder, 'forge.yaml'),
      [
        `cluster: ${CLUSTER}`,
        'nodes:',
        ...ports.map((each) => `  - { host: ${HOST}, port: ${each}, docker_host: here }`),
        `hosts: { here: { docker: "${docker.host}", address: ${HOST} } }`,
        'redis:',
        `  { image: "${redis}", version: "7.0", nofile: 12000, settings: { repl-backlog-size: 2mb }, tls: { directory: certs, auth_clients: 'yes' } }`,
        `proxy: { image: "${proxy}", hosts: [here], port: ${port}, admin_port: ${adminPort}, workers: 1 }`,
        '',
      ].join('\n'),
    );
    await createCertificates(settings());
  });
  afterAll(async () => {
    await writers?.stop();
    await there?.cleanUp();
    await rm(folder, { recursive: true, force: true });
    await docker?.stop();
  });

  it('says that what is not deployed is given its files by hand, and that another folder is none of forge.yaml’s', async () => {
    const absent = await install('--all');
    expect(absent).toMatchObject({ code: 10, stdout: expect.stringContaining(`${HOST}:${ports[0]}`) });
    const other = await run('gen-certs', 'others', '--install', '--all');
    expect(other).toMatchObject({ code: 3, stderr: expect.stringContaining('not of') });
    for (const words of [
      ['deploy', 'redis', '--all', '--yes'],
      ['init-cluster', '--replicas-per-master', '1', '--yes'],
      ['deploy', 'proxy', '--yes'],
    ]) {
      const result = await run(...words);
      expect(result, result.stderr).toMatchObject({ code: 0 });
    }
    await sound();
    writers = await Writers.start(directory, ports, proxyPort);
    await writers.expectNoErrors('at the start');
  });

  it('gives renewed certificates and keys to every port, and does nothing the second time', async () => {
    await renew(true);
    await expect(expectServed()).rejects.toThrow();
    expect(rows(await install('--all'))).toMatchObject({ status: 'done', actions: ['install'] });
    await expectServed();
    expect(rows(await install('--all'))).toMatchObject({ status: 'unchanged', actions: ['unchanged'] });
    // What a deployment would bring is the same: it has nothing left to do.
    expect(rows(await run('deploy', 'redis', '--all', '--json'))).toMatchObject({ status: 'unchanged' });
    await writers?.expectNoErrors('after a renewal');
  });

  it.runIf(FULL)('changes the CA in three steps, under clients that have the bundle of each', async () => {
    for (const step of ['rotate', 'switch', 'retire'] as const) {
      await rotate(step);
      expect(rows(await install('--all')).status, step).toBe('done');
      await expectServed();
      await writers?.expectNoErrors(`after ${step}`);
    }
    // New connections between nodes, in both directions, for replication and on the bus.
    await everybody('CLIENT', 'KILL', 'TYPE', 'master');
    await everybody('CLIENT', 'KILL', 'TYPE', 'replica');
    await sound();
  });

  it('refuses a key that belongs to another certificate, names the node, and changes nothing', async () => {
    const [first, second] = ports;
    await renew(false);
    await copyFile(file(`nodes/${HOST}-${second}/server.key`), file(`nodes/${HOST}-${first}/server.key`));
    const refused = await install('--all');
    expect(refused.code).toBe(3);
    expect(JSON.parse(refused.stdout)).toMatchObject({
      error: {
        host: `${HOST}:${first}`,
        message: expect.stringMatching(/no key that is there belongs to server\.crt/),
      },
    });
    await expect(expectServed([first ?? 0])).rejects.toThrow();
    await renew(false);
  });

  it('takes back what a node refuses, names it, and finishes when it is put right', async () => {
    const [, , third = 0] = ports;
    await there.redis(nameOf(third), 'ACL', 'SETUSER', 'admin', '-config|set');
    const refused = await install('--all');
    expect(refused.code, refused.stdout).toBe(8);
    expect(JSON.parse(refused.stdout)).toMatchObject({
      error: {
        host: `${HOST}:${third}`,
        message: expect.stringContaining(`${HOST}:${third} has not taken its certificates`),
        next: expect.arrayContaining([`${HOST}:${third} goes on with its former certificates.`]),
      },
    });
    await expectServed([third]);
    await writers?.expectNoErrors('after a refusal');
    await there.redis(nameOf(third), 'ACL', 'SETUSER', 'admin', '+config|set');
    const finished = rows(await install('--all'));
    expect(finished.nodes.filter(({ action }) => action === 'install')).toHaveLength(1);
    await expectServed();
    await writers?.expectNoErrors('after the node was put right');
    await writers?.stop();
    // The files on disk are those that it shows: a restart proves it.
    await docker.run(['restart', nameOf(third)]);
    await sound();
  });
});
