/** A deployment of containers on one or several hosts: looked at, planned, and carried out side by side. */
import { setMaxListeners } from 'node:events';
import type { DeployHost } from '../config/deploy-settings.js';
import { engineOf } from '../config/deploy-settings-hosts.js';
import { type DockerCommand, renderCommand } from '../docker/command.js';
import { listContainers } from '../docker/commands/container.js';
import { createNetwork } from '../docker/commands/network.js';
import { type DockerEndpoint, LOCAL_ENDPOINT, parseEndpoint } from '../docker/endpoint.js';
import { DockerEngine } from '../docker/engine.js';
import { failureReason } from '../docker/failure.js';
import { LABELS, labelFilter } from '../docker/labels.js';
import { ForgeError } from '../errors.js';
import { commandsOf } from './action-commands.js';
import { type CarryOutOptions, carryOut } from './carry-out.js';
import type { DesiredContainer } from './container.js';
import { isLeftBehindNow, lockCommands, lockName, type TakenLock, takeLock, thisHolder } from './deploy-lock.js';
import { handOver, handOverCommands, handsOver } from './hand-over.js';
import { leftoverCommands } from './leftovers.js';
import { type ObservedHost, observeHost } from './observed.js';
import { type DeployAction, type DeployPlan, type EffectOf, planDeploy } from './plan.js';
import type { RedisLogin } from './redis-cli.js';
import { fileLimit } from './trial.js';

/** Hosts that are worked on at once: each is a process of `docker`, and over SSH a connection. */
const HOSTS_AT_ONCE = 16;
/** Containers of one host that are worked on at once. */
const CONTAINERS_AT_ONCE = 6;
/** Questions about one container that are asked at once. */
const COMMANDS_AT_ONCE = 8;

export interface DeploymentOptions {
  readonly cluster: string;
  readonly hosts: readonly DeployHost[];
  readonly desired: readonly DesiredContainer[];
  readonly effectOf: EffectOf;
  readonly login?: RedisLogin;
  readonly signal?: AbortSignal;
  /** Hosts that are looked at though nothing of `desired` is on them. */
  readonly also?: readonly string[];
  /** False: a container is stopped before the one in its place starts, though it could hand over. */
  readonly handOver?: boolean;
  /** Another engine, for tests. */
  readonly engineFor?: (endpoint: DockerEndpoint, signal?: AbortSignal) => DockerEngine;
}

/** What a run that was ended has left of one instance. */
export interface Leftover {
  readonly host: string;
  readonly desired: DesiredContainer;
  /** An image that the host has. */
  readonly image: string;
  readonly commands: readonly DockerCommand[];
}

/** A command as people see it: whole, with its host. */
export interface ShownCommand {
  readonly host: string;
  readonly line: string;
}

export interface DeployObserver {
  /** An action begins, is done, or has failed. */
  action?(action: DeployAction, state: 'begun' | 'done' | 'failed'): void;
  /** Before each command that changes something. */
  command?(shown: ShownCommand): void;
  /** It is done otherwise than it was meant. */
  warning?(text: string): void;
}

export class Deployment {
  readonly desired: readonly DesiredContainer[];
  readonly #options: DeploymentOptions;
  readonly #engines: ReadonlyMap<string, DockerEngine>;
  #seen: ReadonlyMap<string, ObservedHost> = new Map();
  /** Networks that another action is making at this moment, by host. */
  readonly #networks = new Map<string, Promise<void>>();
  readonly #undoEngines = new Map<string, DockerEngine>();

  constructor(options: DeploymentOptions) {
    this.#options = options;
    this.desired = options.desired;
    const used = new Set([...options.desired.map(({ host }) => host), ...(options.also ?? [])]);
    const hosts = options.hosts.filter(({ name }) => used.has(name));
    // Each command that runs listens.
    if (options.signal !== undefined)
      setMaxListeners(HOSTS_AT_ONCE * CONTAINERS_AT_ONCE * COMMANDS_AT_ONCE, options.signal);
    this.#engines = new Map(
      hosts.map((host) => {
        const endpoint = endpointOf(host);
        const made = options.engineFor?.(endpoint, options.signal);
        return [host.name, made ?? new DockerEngine(endpoint, { signal: options.signal })];
      }),
    );
  }

  engine(host: string): DockerEngine {
    const engine = this.#engines.get(host);
    if (engine === undefined) throw new Error(`deploy: no host ${host}`);
    return engine;
  }

  /**
   * Looks at every host; what follows is about what was seen here.
   * @param onFailure told of each host that cannot be looked at; what is asked about it later is an error
   * @throws ForgeError the first host's that cannot be looked at, with all of them in its message; with `onFailure` only
   *   when there is no other
   */
  async look(onFailure?: (host: string, error: ForgeError) => void): Promise<void> {
    const seen = await this.#onHosts(async (name, engine) => {
      const mine = this.desired.filter(({ host }) => host === name);
      await engine.version();
      return observeHost(engine, this.cluster, mine);
    }, onFailure);
    this.#seen = new Map(seen);
  }

  /** What was seen on a host; undefined when it could not be looked at. */
  seen(host: string): ObservedHost | undefined {
    return this.#seen.get(host);
  }

  /** The same for two hosts of forge.yaml that are one engine: each of them sees the containers of both. */
  engineKey(host: string): string {
    const found = this.#options.hosts.find(({ name }) => name === host);
    return found === undefined ? host : engineOf(found);
  }

  /** Names of the hosts that are looked at. */
  get hosts(): string[] {
    return [...this.#engines.keys()];
  }

  /** What is to be done. @param builds images that are made before: they need not be there */
  plan(builds: ReadonlySet<string> = new Set()): DeployPlan {
    const desired = this.desired.filter(({ host }) => this.#seen.has(host));
    return planDeploy(desired, this.#seen, this.#options.effectOf, builds);
  }

  /** What runs that were ended halfway have left, and how that is put right. */
  async leftovers(): Promise<readonly Leftover[]> {
    const found = await Promise.all(this.desired.map((desired) => this.#leftover(desired)));
    return found.filter((each) => each !== undefined);
  }

  async #leftover(desired: DesiredContainer): Promise<Leftover | undefined> {
    const seen = this.#seen.get(desired.host);
    if (seen === undefined) return undefined;
    const { name, image: wanted } = desired.options;
    const mine = seen.containers.filter((each) => each.instance === desired.instance);
    const image = seen.images.has(wanted) ? wanted : mine[0]?.imageId;
    const commands = leftoverCommands(desired, seen);
    const lock = lockName(name);
    const stale = seen.locks.has(lock) && (await isLeftBehindNow(seen.locks.get(lock)));
    // Without any image nobody can have the lock, and nothing can be deployed.
    if (image === undefined || (commands.length === 0 && !stale)) return undefined;
    return { host: desired.host, desired, image, commands };
  }

  /**
   * Puts it right, and looks again.
   * @throws ForgeError `locked` when it is no leftover: another deployment is at work
   */
  async recover(leftovers: readonly Leftover[], observer: Pick<DeployObserver, 'command'> = {}): Promise<void> {
    const locks: TakenLock[] = [];
    try {
      for (const { host, desired, image } of leftovers) {
        locks.push(await takeLock(this.engine(host), desired, image, this.#unaborted(host)));
      }
      // Whoever had a lock until now may have finished.
      await this.look();
      const locked = new Set(leftovers.map(({ desired }) => desired));
      for (const { host, desired, commands } of await this.leftovers()) {
        if (!locked.has(desired)) continue;
        for (const command of commands) {
          observer.command?.(this.#shown(host, command));
          await this.engine(host).run(command);
        }
      }
    } finally {
      for (const { release } of locks) await release();
    }
    await this.look();
  }

  get cluster(): string {
    return this.#options.cluster;
  }

  onEveryHost(command: DockerCommand): ShownCommand[] {
    return [...this.#engines.keys()].map((host) => this.#shown(host, command));
  }

  async runOnEveryHost(command: DockerCommand): Promise<void> {
    await this.#onHosts((_, engine) => engine.run(command));
  }

  /**
   * The exact commands of an action, as a person can run them, with the lock that it is done under. The label of the
   * lock says who has it and when it was taken.
   */
  commands(action: DeployAction): ShownCommand[] {
    const { login } = this.#options;
    const { host, options } = action.desired;
    const makeNetwork = this.#lacksNetwork(action);
    const commands = this.#handsOver(action)
      ? handOverCommands(action, { makeNetwork })
      : commandsOf(action, { login, makeNetwork });
    if (commands.length === 0) return [];
    const { take, give } = lockCommands(action.desired, options.image, thisHolder());
    return [take, ...commands, give].map((command) => this.#shown(host, command));
  }

  /**
   * Carries actions out, those of different hosts side by side. One that fails does not keep the others; all failures are
   * told.
   * @throws ForgeError the only failure; `partial` for several, or where something else was done
   */
  async carryOut(actions: readonly DeployAction[], observer: DeployObserver = {}): Promise<void> {
    const failures: { readonly action: DeployAction; readonly error: unknown }[] = [];
    const hosts = [...new Set(actions.map(({ desired }) => desired.host))];
    const byHost = hosts.map((host) => actions.filter(({ desired }) => desired.host === host));
    await each(byHost, HOSTS_AT_ONCE, async (some) => {
      await each(some, CONTAINERS_AT_ONCE, async (action) => {
        observer.action?.(action, 'begun');
        try {
          await this.#one(action, observer);
          observer.action?.(action, 'done');
        } catch (error) {
          observer.action?.(action, 'failed');
          failures.push({ action, error });
        }
      });
    });
    if (failures.length > 0) throw summary(failures, actions.length);
  }

  async #one(action: DeployAction, observer: DeployObserver): Promise<void> {
    const { login, signal } = this.#options;
    const { host } = action.desired;
    signal?.throwIfAborted();
    const engine = this.engine(host);
    const undoEngine = this.#unaborted(host);
    const lock = await takeLock(engine, action.desired, action.desired.options.image, undoEngine);
    try {
      await this.#requireAsPlanned(action, lock);
      await this.#makeNetwork(action);
      await this.#withFewerFiles(engine, action, observer, {
        ...(login === undefined ? {} : { login }),
        // It is there by now.
        makeNetwork: false,
        onCommand: (command) => observer.command?.(this.#shown(host, command)),
        undoEngine,
        ...(signal === undefined ? {} : { signal }),
      });
    } finally {
      await lock.release();
    }
  }

  #handsOver(action: DeployAction): boolean {
    return this.#options.handOver !== false && handsOver(action);
  }

  /** An engine that may not open as many files as nobody has asked for gives what it has, if that does. */
  async #withFewerFiles(
    engine: DockerEngine,
    action: DeployAction,
    observer: DeployObserver,
    options: CarryOutOptions,
  ): Promise<void> {
    const work = this.#handsOver(action) ? handOver : carryOut;
    try {
      await work(engine, action, options);
    } catch (error) {
      const { options: wanted, nofileLeast, host } = action.desired;
      if (nofileLeast === undefined || failureReason(error) !== 'file-limit') throw error;
      const nofile = await fileLimit(engine, wanted.image);
      if (nofile === undefined || nofile < nofileLeast || nofile >= wanted.nofile) throw error;
      observer.warning?.(
        `${host}: its Docker engine may open ${nofile} files, not ${wanted.nofile}: ${wanted.name} gets so many. forge host tune raises it.`,
      );
      await work(engine, action, { ...options, nofile });
    }
  }

  /** @throws ForgeError `locked` when another deployment was quicker since this one looked */
  async #requireAsPlanned({ desired, observed }: DeployAction, lock: TakenLock): Promise<void> {
    const filters = [labelFilter(LABELS.cluster, this.cluster), labelFilter(LABELS.instance, desired.instance)];
    const there = (await this.engine(desired.host).run(listContainers(...filters))).split('\n').filter(Boolean);
    const expected = new Set([lock.id, ...(observed === undefined ? [] : [observed.id])]);
    if (there.length === expected.size && there.every((id) => expected.has(id))) return;
    throw new ForgeError('locked', `${desired.options.name} was deployed by somebody else since it was looked at.`, {
      host: desired.host,
      next: 'Run the same command again: it looks anew.',
    });
  }

  /** What is undone and given back is done after a signal, too. */
  #unaborted(host: string): DockerEngine {
    const known = this.#undoEngines.get(host);
    if (known !== undefined) return known;
    const { endpoint } = this.engine(host);
    const engine = this.#options.engineFor?.(endpoint) ?? new DockerEngine(endpoint);
    this.#undoEngines.set(host, engine);
    return engine;
  }

  #lacksNetwork({ desired }: DeployAction): boolean {
    const { network, host } = desired;
    return network !== undefined && this.#seen.get(host)?.networks.has(network.name) !== true;
  }

  /** Only the first of those who lack a network makes it; the others wait until it is there. */
  async #makeNetwork(action: DeployAction): Promise<void> {
    const { network, host } = action.desired;
    if (network === undefined || !this.#lacksNetwork(action)) return;
    const key = `${host} ${network.name}`;
    const making =
      this.#networks.get(key) ??
      this.engine(host)
        .run(createNetwork({ ...network, labels: { [LABELS.cluster]: this.#options.cluster } }))
        .then(() => undefined);
    this.#networks.set(key, making);
    await making;
  }

  #shown(host: string, command: DockerCommand): ShownCommand {
    return { host, line: renderCommand(command, this.engine(host).endpoint) };
  }

  async #onHosts<T>(
    work: (name: string, engine: DockerEngine) => Promise<T>,
    onFailure?: (host: string, error: ForgeError) => void,
  ): Promise<(readonly [string, T])[]> {
    const results: (readonly [string, T])[] = [];
    const failures: ForgeError[] = [];
    const failed: string[] = [];
    await each([...this.#engines], HOSTS_AT_ONCE, async ([name, engine]) => {
      try {
        results.push([name, await work(name, engine)]);
      } catch (error) {
        if (!(error instanceof ForgeError)) throw error;
        failures.push(error);
        failed.push(name);
      }
    });
    const [first] = failures;
    if (first === undefined) return results;
    if (onFailure !== undefined && results.length > 0) {
      for (const [index, error] of failures.entries()) onFailure(failed[index] ?? '', error);
      return results;
    }
    if (failures.length === 1) throw first;
    throw new ForgeError(first.kind, failures.map(({ message }) => message).join('\n'), {
      host: failures.map(({ host }) => host).join(', '),
      next: [...new Set(failures.flatMap(({ next }) => next))],
      cause: first,
    });
  }
}

export function endpointOf({ name, docker, context }: DeployHost): DockerEndpoint {
  if (docker !== undefined) return parseEndpoint(docker, name);
  return context === undefined ? { ...LOCAL_ENDPOINT, name } : { name, context };
}

function summary(
  failures: readonly { readonly action: DeployAction; readonly error: unknown }[],
  actions: number,
): unknown {
  const [first] = failures;
  if (first === undefined || (failures.length === 1 && actions === 1)) return first?.error;
  const faults = failures.filter(({ error }) => !(error instanceof ForgeError));
  if (faults[0] !== undefined) return faults[0].error;
  const errors = failures.map(({ error }) => error as ForgeError);
  return new ForgeError('partial', [...new Set(errors.map(({ message }) => message))].join('\n'), {
    host: [...new Set(failures.map(({ action }) => action.desired.host))].join(', '),
    next: [
      ...new Set(errors.flatMap(({ next }) => next)),
      `${actions - failures.length} of ${actions} are as they are to be; the same command does the rest.`,
    ],
    details: { failed: failures.map(({ action }) => action.desired.options.name) },
    cause: first.error,
  });
}

async function each<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const lane = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane));
}
