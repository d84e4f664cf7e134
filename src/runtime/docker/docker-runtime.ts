/**
 * Instances as containers of a Docker engine, on this host or over SSH. The supervisor of templates/supervise.sh is the
 * first process inside, so that delay, budget and a clean end mean what they mean for processes; Docker starts the
 * container again after a reboot. Containers, volumes and networks without our labels are never touched.
 */
import { archiveInput, type UnpackedFile, unpackArchive } from '../../docker/archive.js';
import {
  containerLogs,
  createContainer,
  fillerContainer,
  inspectContainer,
  listContainers,
  removeContainer,
  renameContainer,
  startContainer,
  stopContainer,
  topContainer,
} from '../../docker/commands/container.js';
import { copyFrom, copyInto } from '../../docker/commands/copy.js';
import { createNetwork, inspectNetwork, isMade, removeNetwork } from '../../docker/commands/network.js';
import { listAllVolumes, listVolumes, removeVolume } from '../../docker/commands/volume.js';
import type { DockerEngine } from '../../docker/engine.js';
import { failureReason } from '../../docker/failure.js';
import { type ContainerAnswer, containerAnswers, mergeLogs, networkAnswers, parseTop } from '../../docker/inspect.js';
import { LABELS, labelFilter } from '../../docker/labels.js';
import { ForgeError } from '../../errors.js';
import { parseRecord, type SupervisorRecord } from '../process/record.js';
import type {
  InstanceFile,
  InstanceRef,
  InstanceSpec,
  InstanceState,
  RemoveOptions,
  Runtime,
  StopOptions,
  StopOutcome,
} from '../runtime.js';
import { readTemplate } from '../template.js';
import { waitFor } from '../wait.js';
import {
  type ContainerPlan,
  groupByMount,
  initialEntries,
  parseOwner,
  planContainer,
  recordPath,
  scratchNames,
} from './plan.js';
import { explainTakenPort } from './port.js';
import { hasSupervisor, isOurs, isUp, phaseOf, programOf, stateOf } from './state.js';

/** How long the supervisor inside may take to start the program and write its first record, milliseconds. */
const SUPERVISOR_START_MS = 20_000;
const POLL_MS = 50;
const COPY_ATTEMPTS_MAX = 5;
/** A supervisor that has nothing to do any more ends at once, seconds. */
const REST_GRACE_S = 2;
/** What ends by SIGKILL, as the exit code of a container. */
const KILLED = 137;
/** What a shell, and our supervisor, say of a program that is not there. */
const NO_PROGRAM = 127;
const ABSENT: InstanceState = { phase: 'absent', supervised: false, restarts: 0 };

export class DockerRuntime implements Runtime {
  readonly kind = 'docker';
  readonly engine: DockerEngine;

  constructor(engine: DockerEngine) {
    this.engine = engine;
  }

  async start(spec: InstanceSpec): Promise<InstanceState> {
    const plan = planContainer(spec);
    await this.engine.version();
    const there = await this.#find(spec.name);
    if (there.own !== undefined && isUp(there.own)) {
      const record = await this.#record(there.own, spec);
      const phase = phaseOf(there.own, record);
      if (phase !== 'failed' && phase !== 'exited') {
        return stateOf(there.own, record, await this.#program(there.own));
      }
      await this.engine.run(stopContainer(spec.name, REST_GRACE_S));
    }
    const made: string[] = [];
    try {
      for (const leftover of there.scratch) await this.engine.run(removeContainer(leftover));
      made.push(...(await this.#missingVolumes(plan, spec.name)));
      await this.#makeNetwork(plan);
      await this.#fillVolumes(spec, plan);
      await this.#create(plan, there.own);
      await this.engine.run(startContainer(spec.name));
    } catch (error) {
      await this.#takeBack(spec.name, made);
      throw await explainTakenPort(this.engine, error);
    }
    const state = await this.#waitForRecord(spec, plan);
    if (state.phase === 'failed' && state.lastExit === NO_PROGRAM && state.restarts === 0) {
      await this.engine.run(removeContainer(spec.name));
      await this.#removeVolumes(made);
      throw new ForgeError('missing', `The image ${plan.create.image} has no program ${spec.program}.`, {
        host: this.engine.endpoint.name,
        next: 'Use an image that was built for this, or name its program.',
        details: { reason: 'no-program-in-image' },
      });
    }
    return state;
  }

  async inspect(ref: InstanceRef): Promise<InstanceState> {
    const container = await this.#inspectOwn(ref.name);
    if (container === undefined || container.State.Status === 'created') return ABSENT;
    const [record, program] = await Promise.all([this.#record(container, ref), this.#program(container)]);
    return stateOf(container, record, program);
  }

  async stop(ref: InstanceRef, { graceMs }: StopOptions): Promise<StopOutcome> {
    const before = await this.#inspectOwn(ref.name);
    if (before === undefined || !isUp(before)) return 'absent';
    const phase = phaseOf(before, await this.#record(before, ref));
    if (phase === 'failed' || phase === 'exited') {
      await this.engine.run(stopContainer(ref.name, REST_GRACE_S));
      return 'absent';
    }
    await this.engine.run(stopContainer(ref.name, Math.ceil(graceMs / 1000)));
    const after = await this.#inspectOwn(ref.name);
    if (after === undefined || after.State.ExitCode !== KILLED) return 'ended';
    await this.#markStopped(after, ref);
    return 'killed';
  }

  async outputTail(ref: InstanceRef, lines: number): Promise<string[]> {
    if ((await this.#inspectOwn(ref.name)) === undefined) return [];
    const { stdout, stderr } = await this.engine.execute(containerLogs(ref.name, lines));
    const all = mergeLogs(stdout.toString('utf8'), stderr).map(({ line }) => line);
    return all.filter((line) => line.trim() !== '').slice(-lines);
  }

  async putFiles(ref: InstanceRef, files: readonly InstanceFile[]): Promise<void> {
    const container = await this.#inspectOwn(ref.name);
    if (container === undefined) {
      throw new ForgeError('missing', `${this.engine.endpoint.name} has no ${ref.name} of ours.`, {
        host: this.engine.endpoint.name,
        next: 'Start it first.',
      });
    }
    const targets = container.Mounts.filter(({ RW, Type }) => RW && Type !== 'tmpfs').map((mount) => mount.Destination);
    const owner = parseOwner(container.Config.User ?? '') ?? { uid: 0, gid: 0 };
    for (const { target, entries } of groupByMount(files, targets, owner)) {
      await this.engine.run(copyInto(ref.name, target, archiveInput(entries, new Date())));
    }
  }

  async remove(ref: InstanceRef, { volumes }: RemoveOptions): Promise<void> {
    const { own, scratch } = await this.#find(ref.name, { foreign: 'ignored' });
    if (own !== undefined && isUp(own)) {
      const phase = phaseOf(own, await this.#record(own, ref));
      if (phase !== 'failed' && phase !== 'exited') {
        const { name } = this.engine.endpoint;
        throw new ForgeError('refused', `${ref.name} runs on ${name}.`, { host: name, next: 'Stop it first.' });
      }
    }
    const containers = [...scratch, ...(own === undefined ? [] : [ref.name])];
    for (const container of containers) await this.engine.run(removeContainer(container));
    if (volumes === 'keep') return;
    const filters = [labelFilter(LABELS.instance, ref.name)];
    if (volumes === 'configuration') filters.push(labelFilter(LABELS.content, 'configuration'));
    for (const volume of words(await this.engine.run(listVolumes(...filters)))) {
      await this.engine.run(removeVolume(volume));
    }
    if (volumes === 'all' && own !== undefined) await this.#removeNetwork(own.HostConfig.NetworkMode);
  }

  /**
   * The container of this instance, and the helpers of a start that was cut short.
   * @throws ForgeError `refused` when somebody else's container has one of the names
   */
  async #find(
    name: string,
    { foreign = 'refused' }: { foreign?: 'refused' | 'ignored' } = {},
  ): Promise<{ own?: ContainerAnswer; scratch: string[] }> {
    const wanted = [name, ...Object.values(scratchNames(name))];
    const pattern = `name=^/?(${wanted.map((each) => each.replaceAll('.', '\\.')).join('|')})$`;
    const ids = words(await this.engine.run(listContainers(pattern)));
    if (ids.length === 0) return { scratch: [] };
    const found = await this.engine.json(inspectContainer(...ids), containerAnswers);
    const ours = found.filter((container) => isOurs(container, name));
    const stranger = found.find((container) => !ours.includes(container));
    if (stranger !== undefined && foreign === 'refused') {
      throw this.#foreign('container', nameOf(stranger), `docker inspect ${nameOf(stranger)}`);
    }
    const own = ours.find((container) => nameOf(container) === name);
    return { own, scratch: ours.map(nameOf).filter((each) => each !== name) };
  }

  /** The container of this name when it is ours. */
  async #inspectOwn(name: string): Promise<ContainerAnswer | undefined> {
    try {
      const [container] = await this.engine.json(inspectContainer(name), containerAnswers);
      return container !== undefined && isOurs(container, name) ? container : undefined;
    } catch (error) {
      if (failureReason(error) === 'no-container') return undefined;
      throw error;
    }
  }

  /** What the supervisor inside has written; undefined before it has, and where there is none. */
  async #record(container: ContainerAnswer, ref: InstanceRef): Promise<SupervisorRecord | undefined> {
    if (!hasSupervisor(container)) return undefined;
    try {
      const file = await this.#copyOut(container, recordPath(ref));
      return file === undefined ? undefined : parseRecord(file.content.toString('utf8'));
    } catch (error) {
      if (failureReason(error) === 'no-file' || failureReason(error) === 'no-container') return undefined;
      throw error;
    }
  }

  /** One file. What is written anew while Docker copies it comes cut off, without an error: then it is copied again. */
  async #copyOut(container: ContainerAnswer, path: string): Promise<UnpackedFile | undefined> {
    for (let attempt = 1; ; attempt++) {
      const { stdout } = await this.engine.execute(copyFrom(container.Id, path));
      try {
        const [file] = await unpackArchive(stdout);
        return file;
      } catch (error) {
        if (attempt >= COPY_ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** The program's process on the engine's host; undefined when it is not running, or the host has no `ps`. */
  async #program(container: ContainerAnswer) {
    if (container.State.Status !== 'running') return undefined;
    const output = await this.engine.run(topContainer(container.Id)).catch(() => '');
    return programOf(container, parseTop(output));
  }

  /** The one before goes only when the next one is there. */
  async #create({ create }: ContainerPlan, before: ContainerAnswer | undefined): Promise<void> {
    const { name } = create;
    if (before === undefined) {
      await this.engine.run(createContainer(create));
      return;
    }
    const { next } = scratchNames(name);
    await this.engine.run(createContainer({ ...create, name: next }));
    await this.engine.run(removeContainer(name));
    await this.engine.run(renameContainer(next, name));
  }

  /**
   * Volumes that are made together with the first container that has them.
   * @throws ForgeError `refused` when one of their names is somebody else's
   */
  async #missingVolumes({ volumes }: ContainerPlan, instance: string): Promise<string[]> {
    const lines = words(await this.engine.run(listAllVolumes(LABELS.instance)));
    const there = new Map(lines.map((line) => line.split('\t')).map(([name = '', owner = '']) => [name, owner]));
    const foreign = volumes.find((name) => there.has(name) && there.get(name) !== instance);
    if (foreign !== undefined) throw this.#foreign('volume', foreign, `docker volume inspect ${foreign}`);
    return volumes.filter((name) => !there.has(name));
  }

  /** A network that somebody else made is used as it is. */
  async #makeNetwork({ create: { network }, networkLabels }: ContainerPlan): Promise<void> {
    if (!isMade(network)) return;
    try {
      await this.engine.run(inspectNetwork(network));
    } catch (error) {
      if (failureReason(error) !== 'no-network') throw error;
      await this.engine.run(createNetwork({ name: network, labels: networkLabels })).catch(async (cause: unknown) => {
        // Another instance may have made it a moment ago.
        await this.engine.run(inspectNetwork(network)).catch(() => Promise.reject(cause));
      });
    }
  }

  /**
   * Through a container that is never started and may be written: into one with a read-only root the engine copies
   * only below a mount, and never changes the owner of the mount itself, which is root's in a new volume.
   */
  async #fillVolumes(spec: InstanceSpec, plan: ContainerPlan): Promise<void> {
    const { files } = scratchNames(spec.name);
    const entries = initialEntries(spec, plan, await readTemplate('supervise.sh'));
    const { image, mounts, labels, pull } = plan.create;
    await this.engine.run(fillerContainer({ name: files, image, mounts, labels, pull }));
    await this.engine.run(copyInto(files, '/', archiveInput(entries, new Date())));
    await this.engine.run(removeContainer(files));
  }

  /** @throws ForgeError `timeout` when the supervisor has not written anything after a while, or has ended */
  async #waitForRecord(spec: InstanceSpec, plan: ContainerPlan): Promise<InstanceState> {
    if (plan.settings.supervisor === 'engine') return await this.inspect(spec);
    const begun = await waitFor(
      async () => {
        const container = await this.#inspectOwn(spec.name);
        if (container === undefined || !isUp(container)) return 'ended' as const;
        const record = await this.#record(container, spec);
        return record === undefined ? undefined : stateOf(container, record, await this.#program(container));
      },
      { timeoutMs: SUPERVISOR_START_MS, intervalMs: POLL_MS },
    );
    if (begun !== undefined && begun !== 'ended') return begun;
    const { name } = this.engine.endpoint;
    const said = await this.outputTail(spec, 4);
    throw new ForgeError('timeout', [`${spec.name} was not started on ${name}.`, ...said].join('\n'), {
      host: name,
      next: `Look at it: docker logs ${spec.name}; its image needs /bin/sh with date, mv and sleep.`,
    });
  }

  /** Says of one that had to be killed that it was stopped, as its supervisor would have. */
  async #markStopped(container: ContainerAnswer, ref: InstanceRef): Promise<void> {
    const record = await this.#record(container, ref);
    if (record === undefined) return;
    const content = `state stopped\nsupervisor -\nchild -\nrestarts ${record.restarts}\nlast_exit ${KILLED}\n`;
    await this.putFiles(ref, [{ path: recordPath(ref), content, mode: 0o600 }]);
  }

  /** After a failed start: nothing half made stays. What cannot be taken back is found by the next start. */
  async #takeBack(name: string, volumes: readonly string[]): Promise<void> {
    const { own, scratch } = await this.#find(name).catch(() => ({ own: undefined, scratch: [] }));
    const created = own?.State.Status === 'created' ? [name] : [];
    for (const container of [...scratch, ...created]) {
      await this.engine.run(removeContainer(container)).catch(() => undefined);
    }
    await this.#removeVolumes(volumes);
  }

  async #removeVolumes(names: readonly string[]): Promise<void> {
    for (const name of names) await this.engine.run(removeVolume(name)).catch(() => undefined);
  }

  async #removeNetwork(name: string): Promise<void> {
    if (!isMade(name)) return;
    try {
      const [network] = await this.engine.json(inspectNetwork(name), networkAnswers);
      const { cluster, instance } = LABELS;
      if (network?.Labels[cluster] === undefined && network?.Labels[instance] === undefined) return;
      await this.engine.run(removeNetwork(name));
    } catch (error) {
      if (failureReason(error) !== 'in-use' && failureReason(error) !== 'no-network') throw error;
    }
  }

  #foreign(what: 'container' | 'volume', name: string, look: string): ForgeError {
    const host = this.engine.endpoint.name;
    return new ForgeError('refused', `${host} has a ${what} named ${name} that is somebody else's.`, {
      host,
      next: `Look whose it is: ${look}. It was not touched; rename or remove it, or take another name.`,
      details: { reason: 'name-taken', name },
    });
  }
}

function nameOf(container: ContainerAnswer): string {
  return container.Name.replace(/^\//, '');
}

function words(output: string): string[] {
  return output.split('\n').filter((line) => line !== '');
}
