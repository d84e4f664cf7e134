/** What a container and the record of the supervisor inside it say together. Pure. */
import type { ContainerAnswer } from '../../docker/inspect.js';
import { LABELS } from '../../docker/labels.js';
import type { SupervisorRecord } from '../process/record.js';
import type { InstancePhase, InstanceState } from '../runtime.js';
import { SUPERVISOR_LABEL } from './plan.js';

/** Whether a container is the one that we made for this instance. */
export function isOurs(container: ContainerAnswer, instance: string): boolean {
  return container.Config.Labels[LABELS.instance] === instance;
}

/** Whether the first process of the container is our supervisor. */
export function hasSupervisor(container: ContainerAnswer): boolean {
  return container.Config.Labels[SUPERVISOR_LABEL] !== 'engine';
}

/** Whether the engine runs it, or is about to start it again. */
export function isUp(container: ContainerAnswer): boolean {
  return ['running', 'paused', 'restarting'].includes(container.State.Status);
}

export function phaseOf(container: ContainerAnswer, record: SupervisorRecord | undefined): InstancePhase {
  const { Status } = container.State;
  if (Status === 'created') return 'absent';
  if (Status === 'restarting') return 'waiting';
  if (!hasSupervisor(container)) {
    if (isUp(container)) return 'running';
    // The engine restarts it for ever, except when somebody stopped it.
    return Status === 'exited' ? 'stopped' : 'lost';
  }
  // Before the first record, the supervisor is about to start the program.
  if (isUp(container)) return record?.phase ?? 'running';
  if (record === undefined || record.phase === 'running' || record.phase === 'waiting') return 'lost';
  return record.phase;
}

/**
 * The program's process among those of the container.
 * @param processes of `docker top`
 */
export function programOf(
  container: ContainerAnswer,
  processes: readonly { pid: number; parent: number; memoryBytes: number }[],
): { pid: number; memoryBytes: number } | undefined {
  const { Pid } = container.State;
  return processes.find(({ pid, parent }) => (hasSupervisor(container) ? parent === Pid : pid === Pid));
}

export function stateOf(
  container: ContainerAnswer,
  record: SupervisorRecord | undefined,
  program: { pid: number; memoryBytes: number } | undefined,
): InstanceState {
  const phase = phaseOf(container, record);
  if (phase === 'absent') return { phase, supervised: false, restarts: 0 };
  const { ExitCode, Health } = container.State;
  const lastExit = record?.lastExit ?? (isUp(container) && container.RestartCount === 0 ? undefined : ExitCode);
  const common = {
    phase,
    // A supervisor that has given up, or has nothing to do any more, only waits for the container's end.
    supervised: phase === 'running' || phase === 'waiting',
    restarts: container.RestartCount + (record?.restarts ?? 0),
    ...(lastExit === undefined ? {} : { lastExit }),
  };
  if (phase !== 'running') return common;
  const health = (['starting', 'healthy', 'unhealthy'] as const).find((status) => status === Health?.Status);
  return {
    ...common,
    ...(program === undefined ? {} : { pid: program.pid, memoryBytes: program.memoryBytes }),
    ...(health === undefined ? {} : { health }),
  };
}
