/** Six nodes with TLS and users, and a proxy with TLS, on one host: what forge.yaml says of them, and what must hold. */
import tls from 'node:tls';
import { expect } from 'vitest';
import { dockerForTests, type TestDocker } from '../../support/docker/engine.js';
import { MONITORING_PROGRAMS, monitoringImage, proxyImage, redisImage } from '../../support/docker/images.js';
import { freePortBlock, freePorts } from '../../support/ports.js';
import { poll } from '../../support/redis.js';
import type { Endpoint } from './applications.js';
import { targetsUp, Webhook } from './monitoring.js';
import { Operator, type Printed, SECRETS } from './operator.js';

export const NODES = 6;
/** Docker asks each container every five seconds. */
const HEALTHY_MS = 120_000;

export interface SystemOptions {
  readonly cluster: string;
  readonly network: 'host' | 'bridge';
}

type MonitoringProgram = keyof typeof MONITORING_PROGRAMS;
const WATCHERS = Object.keys(MONITORING_PROGRAMS) as MonitoringProgram[];

/** What watches the system. */
interface Watching {
  readonly webhook: Webhook;
  readonly ports: Readonly<Record<MonitoringProgram, number>>;
  readonly images: Readonly<Record<MonitoringProgram, string>>;
}

/** What changes in the course of a test. */
export interface Changes {
  readonly upgraded?: boolean;
  readonly settings?: Readonly<Record<string, string | number>>;
}

export class System {
  private constructor(
    readonly operator: Operator,
    readonly cluster: string,
    readonly network: 'host' | 'bridge',
    /** Where the host is reached, from itself and from its containers. */
    readonly address: string,
    readonly ports: { readonly nodes: readonly number[]; readonly proxy: number; readonly admin: number },
    readonly images: { readonly seven: string; readonly eight: string; readonly proxy: string },
    /** Undefined: the system is not watched. */
    readonly watching: Watching | undefined,
  ) {}

  static async prepare({ cluster, network }: SystemOptions): Promise<System> {
    const docker = (await dockerForTests()) as TestDocker;
    const operator = await Operator.at(docker, cluster);
    const first = await freePortBlock(NODES + 2);
    const nodes = Array.from({ length: NODES }, (_, index) => first + index);
    // Tags of its own: other tests build the same images at the same time.
    const images = {
      seven: await redisImage(docker, 'redis-7', { tag: `forge-test/redis:${cluster}-7` }),
      eight: await redisImage(docker, 'redis-8', { tag: `forge-test/redis:${cluster}-8` }),
      proxy: await proxyImage(docker, `forge-test/proxy:${cluster}`),
    };
    const gateway = ['network', 'inspect', 'bridge', '-f', '{{(index .IPAM.Config 0).Gateway}}'];
    const address = network === 'host' ? '127.0.0.1' : await docker.run(gateway);
    const ports = { nodes, proxy: first + NODES, admin: first + NODES + 1 };
    const watching = network === 'host' ? await prepareWatching(docker, cluster) : undefined;
    return new System(operator, cluster, network, address, ports, images, watching);
  }

  async end(): Promise<void> {
    this.watching?.webhook.close();
    await this.operator.end();
    await this.operator.docker.stop();
  }

  /** forge.yaml as it is to be now. */
  async write({ upgraded = false, settings = {} }: Changes = {}): Promise<void> {
    const { address, ports, images, network, cluster } = this;
    await this.operator.writeForgeFile({
      cluster,
      nodes: ports.nodes.map((port) => ({ host: address, port, docker_host: 'here' })),
      replicas_per_master: 1,
      hosts: { here: { docker: this.operator.docker.host, address } },
      redis: {
        version: upgraded ? '8.0' : '7.0',
        image: upgraded ? images.eight : images.seven,
        network: network === 'host' ? 'host' : cluster,
        memory: '256mb',
        // What the machine's engine may have.
        nofile: 12_000,
        tls: { directory: 'certs' },
        users: {
          default: 'off',
          app: { password: { environment: 'APP_PASSWORD' } },
          readonly: { password: { environment: 'READ_PASSWORD' } },
        },
        // On a busy machine a node may be silent for seconds: the others are not to take it for dead.
        settings: { 'cluster-node-timeout': 30_000, ...settings },
      },
      proxy: { image: images.proxy, hosts: ['here'], port: ports.proxy, admin_port: ports.admin },
      ...this.#monitoring(),
    });
  }

  #monitoring(): object {
    if (this.watching === undefined) return {};
    const { images, ports, webhook } = this.watching;
    const program = (name: MonitoringProgram) => ({ image: images[name], port: ports[name] });
    return {
      monitoring: {
        scrape_interval: '2s',
        // Debian 12's.
        alertmanager_version: '0.25',
        redis_exporter: program('redis-exporter'),
        // Where the machine does not share its mounts, as in a container of its own.
        node_exporter: { ...program('node-exporter'), mounts: 'fixed' },
        prometheus: { ...program('prometheus'), host: 'here' },
        alertmanager: { ...program('alertmanager'), host: 'here', webhook: { address: webhook.address } },
      },
    };
  }

  /** What applications are told. */
  get endpoint(): Endpoint {
    const { address: host, ports } = this;
    return { host, port: ports.proxy, password: SECRETS.APP_PASSWORD, tls: { ca: this.authority } };
  }

  get authority(): Buffer {
    return this.operator.read('certs/ca-bundle.crt');
  }

  /** Serial numbers of the certificates that nodes and proxy show in a handshake. */
  async serials(): Promise<string[]> {
    return Promise.all([...this.ports.nodes, this.ports.proxy].map((port) => this.#serialAt(port)));
  }

  #serialAt(port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = tls.connect({ host: this.address, port, ca: this.authority }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.once('error', reject);
    });
  }

  /** Nodes, from nothing to a cluster, and the proxy. */
  async comeUp(): Promise<void> {
    const { operator } = this;
    await this.write();
    // They end so soon that a renewal takes all of them.
    await operator.run('gen-certs', 'certs', '--days', '20');
    expect(actions((await operator.json('deploy', 'redis', '--all', '--yes')).nodes)).toEqual(['create']);
    await operator.run('init-cluster', '--yes');
    expect(actions((await operator.json('deploy', 'proxy', '--yes')).proxies)).toEqual(['create']);
    if (this.watching === undefined) return;
    const { containers } = await operator.json('deploy', 'monitoring', '--all', '--yes');
    expect(actions(containers)).toEqual(['create']);
  }

  /** Prometheus has everything that is deployed, and all of it answers. */
  async expectWatched(): Promise<void> {
    if (this.watching === undefined) throw new Error('this system is not watched');
    await targetsUp(`${this.address}:${this.watching.ports.prometheus}`, {
      'redisforge-redis': NODES,
      'redisforge-redis-exporter': 1,
      'redisforge-node': 1,
      'redisforge-proxy': 1,
      prometheus: 1,
      alertmanager: 1,
    });
  }

  /** The smoke test passes, nothing fails in the eyes of the doctor, and all is as forge.yaml says. */
  async expectAllWell(version: RegExp): Promise<void> {
    const { operator, cluster } = this;
    const { stderr } = await operator.run('smoke-test', '--timeout', '5m');
    expect(stderr).toContain(`the proxy of ${cluster} on here`);
    const { findings = [] } = JSON.parse((await operator.try('doctor', '--json')).stdout) as Printed;
    // What this machine's kernel is set to is not what is deployed.
    expect(findings.filter(({ check, verdict }) => verdict === 'FAIL' && check !== 'hosts')).toEqual([]);
    const containers = await this.settled();
    expect([...new Set(containers.map(({ wanted }) => wanted))]).toEqual(['unchanged']);
    const nodes = containers.filter(({ role }) => role === 'redis');
    expect(nodes.map((node) => node.version)).toEqual(Array(NODES).fill(expect.stringMatching(version)));
  }

  /** The status once nothing has a fault: Docker asks for health every few seconds, and on a busy machine gives up at times. */
  async settled(): Promise<NonNullable<Printed['containers']>> {
    let faults: readonly string[] = [];
    return await poll('containers without faults', HEALTHY_MS, async () => {
      const { stdout } = await this.operator.try('deploy', 'status', '--all', '--json');
      const { containers = [] } = JSON.parse(stdout) as Printed;
      faults = containers.flatMap(({ container, fault }) => (fault === null ? [] : [`${container}: ${fault}`]));
      return faults.length === 0 && containers.length > 0 ? containers : undefined;
    }).catch((error: Error) => {
      throw new Error([error.message, ...faults].join('\n'));
    });
  }

  /** Deployed again, it says that nothing is to be done, and every container is the one that it was. */
  async expectUnchangedByDeploys(): Promise<void> {
    const { operator } = this;
    const before = await operator.lives();
    expect(before.length).toBeGreaterThan(NODES);
    const deployments = [
      ['deploy', 'redis', '--all', '--yes'],
      ['deploy', 'proxy', '--yes'],
      ...(this.watching === undefined ? [] : [['deploy', 'monitoring', '--all', '--yes']]),
    ];
    for (const words of deployments) {
      expect(await operator.json(...words)).toMatchObject({ status: 'unchanged' });
    }
    expect(await operator.lives()).toEqual(before);
  }
}

async function prepareWatching(docker: TestDocker, cluster: string): Promise<Watching> {
  const free = await freePorts(WATCHERS.length);
  const ofEach = <Value>(value: (name: MonitoringProgram, index: number) => Value) =>
    Object.fromEntries(WATCHERS.map((name, index) => [name, value(name, index)])) as Record<MonitoringProgram, Value>;
  const images = ofEach((name) => `forge-test/${name}:${cluster}`);
  for (const name of WATCHERS) await monitoringImage(docker, name, images[name]);
  return { webhook: await Webhook.listen(), ports: ofEach((_, index) => free[index] ?? 0), images };
}

/** The kinds of actions that a deployment took. */
export function actions(rows: readonly { readonly action: string }[] = []): string[] {
  return [...new Set(rows.map(({ action }) => action))];
}
