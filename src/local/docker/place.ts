/** A local cluster in containers of this machine's Docker engine. */
import { inspectContainer } from '../../docker/commands/container.js';
import { LOCAL_ENDPOINT } from '../../docker/endpoint.js';
import type { DockerEngine } from '../../docker/engine.js';
import { failureReason } from '../../docker/failure.js';
import { type ContainerAnswer, containerAnswers } from '../../docker/inspect.js';
import { LABELS } from '../../docker/labels.js';
import { ForgeError } from '../../errors.js';
import { readiness } from '../../proxy/control/admin.js';
import { LISTEN_TIMEOUT_MS } from '../../proxy/control/detached.js';
import { exitKind, exitWords } from '../../proxy/control/executable.js';
import { DockerRuntime } from '../../runtime/docker/docker-runtime.js';
import { isUp } from '../../runtime/docker/state.js';
import type { InstanceRef, InstanceSpec } from '../../runtime/runtime.js';
import { waitFor } from '../../runtime/wait.js';
import { LOOPBACK } from '../nodes.js';
import type { LocalPlace, PlaceOptions, ProxyPlace, ProxyPorts } from '../place.js';
import { FOR_AN_OLD_CLUSTER, plannedPorts, refuseBusyPorts } from '../port-plan.js';
import { loadSecrets, type Secrets } from '../secrets.js';
import type { StepReporter } from '../step.js';
import { BoundedEngine } from './bounded-engine.js';
import { ensureProxyImage, ensureRedisImage, redisImageName, removeProxyImage } from './images.js';
import { baseSpec, type ContainerNames, containerNames, nodeSpec, proxySpec } from './specs.js';

/** The container that does nothing ends at once. */
const BASE_GRACE_MS = 2_000;
/** A node or a proxy that lost its network has nobody to say good-bye to. */
const STRANDED_GRACE_MS = 5_000;
const POLL_MS = 100;
const SAID_LINES = 5;

export function dockerPlace(options: PlaceOptions): LocalPlace {
  return new DockerPlace(options);
}

class DockerPlace implements LocalPlace {
  readonly runtime: DockerRuntime;
  /** Each takes some ten calls of the docker command, most of them waiting for the engine. */
  readonly startsAtOnce = 3;
  readonly proxy: ProxyPlace;
  readonly data: string;
  readonly #options: PlaceOptions;
  readonly #engine: DockerEngine;
  readonly #names: ContainerNames;
  readonly #image = redisImageName();
  #note: (text: string) => void = () => undefined;

  constructor(options: PlaceOptions) {
    this.#options = options;
    this.#engine = new BoundedEngine(LOCAL_ENDPOINT, { signal: options.signal });
    this.#names = containerNames(options.paths);
    this.runtime = new DockerRuntime(this.#engine);
    this.data = `the Docker volumes ${this.#names.cluster}-*`;
    const ref = this.#names.proxy;
    this.proxy = {
      log: `See what it says: docker logs ${ref.name}`,
      inspect: async () => await this.runtime.inspect(ref),
      start: async (ports, signal) => await this.#startProxy(ports, signal),
      stop: async (graceMs) => await this.runtime.stop(ref, { graceMs }),
    };
  }

  async check(): Promise<void> {
    refuseRemoteEngine(process.env['DOCKER_HOST']);
    await this.#engine.version();
  }

  async open(report: StepReporter): Promise<void> {
    await this.check();
    this.#note = (text) => report.note(text);
    const { nodePorts, proxy } = this.#options.state;
    await ensureRedisImage(this.#engine, this.#image, this.#note);
    const ports = [...nodePorts, ...(proxy === null ? [] : [proxy.port, proxy.adminPort])];
    const base = await this.#find(this.#names.base);
    if (base !== undefined && isUp(base)) {
      // A proxy may have come to the cluster since the ports were published.
      if (Object.keys(base.HostConfig.PortBindings).length === ports.length) {
        return await this.#stopSharers((one) => startedMs(one) < startedMs(base));
      }
    }
    // Whoever shares the network of one that is gone is reached by nobody.
    await this.#stopSharers(() => true);
    await this.close();
    await refuseBusyPorts(
      plannedPorts({ nodePorts, proxy }).filter(({ port }) => ports.includes(port)),
      FOR_AN_OLD_CLUSTER,
    );
    await this.runtime.start(baseSpec(this.#names, this.#image, ports));
  }

  async close(): Promise<void> {
    await this.runtime.stop(this.#names.base, { graceMs: BASE_GRACE_MS });
  }

  async clear(): Promise<void> {
    // The one whose network it is goes last, and the network with it.
    for (const ref of [...this.#sharers(), this.#names.base]) await this.runtime.remove(ref, { volumes: 'all' });
    await removeProxyImage(this.#engine, this.#names);
  }

  node(port: number): InstanceRef {
    return this.#names.node(port);
  }

  async nodeSpec(port: number, secrets: Secrets): Promise<InstanceSpec> {
    return await nodeSpec(this.#names, this.#options.state, { image: this.#image, port, secrets });
  }

  /** They were looked at before they were published, all together. */
  async refuseBusy(): Promise<void> {}

  logOf(port: number): string {
    return `See everything it says: docker logs ${this.#names.node(port).name}`;
  }

  /** It is the container's output. */
  async nodeLog(): Promise<string[]> {
    return [];
  }

  /** Those that share the network. */
  #sharers(): InstanceRef[] {
    return [this.#names.proxy, ...this.#options.state.nodePorts.map((port) => this.#names.node(port))];
  }

  async #stopSharers(chosen: (container: ContainerAnswer) => boolean): Promise<void> {
    await Promise.all(
      this.#sharers().map(async (ref) => {
        const container = await this.#find(ref);
        if (container === undefined || !isUp(container) || !chosen(container)) return;
        await this.runtime.stop(ref, { graceMs: STRANDED_GRACE_MS });
      }),
    );
  }

  /** The container itself; what is not ours is refused by the runtime when it is to be made. */
  async #find({ name }: InstanceRef): Promise<ContainerAnswer | undefined> {
    try {
      const [container] = await this.#engine.json(inspectContainer(name), containerAnswers);
      return container?.Config.Labels[LABELS.cluster] === this.#names.cluster ? container : undefined;
    } catch (error) {
      if (failureReason(error) === 'no-container') return undefined;
      throw error;
    }
  }

  async #startProxy(ports: ProxyPorts, signal?: AbortSignal): Promise<void> {
    const { paths, state } = this.#options;
    await ensureProxyImage(this.#engine, this.#names, { base: this.#image, note: this.#note });
    const spec = await proxySpec(this.#names, state, { ports, secrets: await loadSecrets(paths) });
    await this.runtime.start(spec);
    try {
      const answer = await waitFor(
        async () => {
          const { phase, lastExit } = await this.runtime.inspect(spec);
          if (phase !== 'running') throw await this.#proxyFailure(lastExit ?? 1);
          return await readiness({ host: LOOPBACK, port: ports.adminPort }, signal).catch(() => undefined);
        },
        { timeoutMs: LISTEN_TIMEOUT_MS, intervalMs: POLL_MS, signal },
      );
      if (answer !== undefined) return;
      throw new ForgeError('timeout', `The proxy does not answer after ${LISTEN_TIMEOUT_MS / 1000} s.`, {
        next: this.proxy.log,
      });
    } catch (error) {
      await this.runtime.stop(spec, { graceMs: STRANDED_GRACE_MS });
      throw error;
    }
  }

  async #proxyFailure(code: number): Promise<ForgeError> {
    const said = await this.runtime.outputTail(this.#names.proxy, SAID_LINES);
    const words = `The proxy did not start: ${exitWords(code)}.`;
    const lines = said.filter((line) => !line.startsWith('supervise: '));
    return new ForgeError(exitKind(code) ?? 'unexpected', [words, ...lines].join('\n'), { next: this.proxy.log });
  }
}

/** Published ports are the engine's host's, and everything here talks to this one. @throws ForgeError `refused` */
export function refuseRemoteEngine(host: string | undefined): void {
  if (host === undefined || host === '' || host.startsWith('unix://')) return;
  throw new ForgeError('refused', 'A local cluster runs on this machine, and DOCKER_HOST is an engine elsewhere.', {
    next: ['Unset DOCKER_HOST,', 'or take forge deploy for clusters on other hosts.'],
  });
}

function startedMs(container: ContainerAnswer): number {
  return Date.parse(container.State.StartedAt);
}
