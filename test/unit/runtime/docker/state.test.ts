import { describe, expect, it } from 'vitest';
import { type ContainerAnswer, containerAnswer } from '../../../../src/docker/inspect.js';
import { LABELS } from '../../../../src/docker/labels.js';
import { SUPERVISOR_LABEL } from '../../../../src/runtime/docker/plan.js';
import { isOurs, phaseOf, programOf, stateOf } from '../../../../src/runtime/docker/state.js';
import type { RecordPhase, SupervisorRecord } from '../../../../src/runtime/process/record.js';

function container(
  state: Partial<ContainerAnswer['State']> = {},
  labels: Record<string, string> = {},
  restarts = 0,
): ContainerAnswer {
  return containerAnswer.parse({
    ...{ Id: 'ab', Name: '/thing', Created: '', Image: 'sha256:1', RestartCount: restarts, Mounts: null },
    State: { Status: 'running', Pid: 100, ExitCode: 0, OOMKilled: false, StartedAt: '', FinishedAt: '', ...state },
    Config: { Image: 'i', Labels: { [LABELS.instance]: 'thing', ...labels }, Env: null, Cmd: null },
    HostConfig: {
      ...{ NetworkMode: 'host', ReadonlyRootfs: true, Memory: 0, NanoCpus: 0 },
      ...{ RestartPolicy: { Name: 'unless-stopped' }, LogConfig: { Type: 'json-file', Config: null } },
    },
    NetworkSettings: { Networks: null },
  });
}

const record = (phase: RecordPhase, more: Partial<SupervisorRecord> = {}): SupervisorRecord => ({
  phase,
  restarts: 0,
  ...more,
});

describe('the phase of an instance in a container', () => {
  it.each<[string, RecordPhase | undefined, string]>([
    ['created', undefined, 'absent'],
    ['created', 'stopped', 'absent'],
    ['running', undefined, 'running'],
    ['running', 'running', 'running'],
    ['paused', 'running', 'running'],
    ['running', 'waiting', 'waiting'],
    ['running', 'failed', 'failed'],
    ['running', 'exited', 'exited'],
    ['restarting', 'running', 'waiting'],
    ['restarting', undefined, 'waiting'],
    ['exited', 'stopped', 'stopped'],
    ['exited', 'failed', 'failed'],
    ['exited', 'exited', 'exited'],
    ['exited', 'running', 'lost'],
    ['exited', 'waiting', 'lost'],
    ['exited', undefined, 'lost'],
    ['dead', 'running', 'lost'],
  ])('%s with the record %s is %s', (Status, phase, wanted) => {
    expect(phaseOf(container({ Status }), phase === undefined ? undefined : record(phase))).toBe(wanted);
  });

  it.each([
    ['created', 'absent'],
    ['running', 'running'],
    ['restarting', 'waiting'],
    ['exited', 'stopped'],
    ['dead', 'lost'],
  ])('%s is %s where the engine alone restarts it', (Status, wanted) => {
    expect(phaseOf(container({ Status }, { [SUPERVISOR_LABEL]: 'engine' }), undefined)).toBe(wanted);
  });
});

describe('the state of an instance in a container', () => {
  it('is ours by its label only', () => {
    expect(isOurs(container(), 'thing')).toBe(true);
    expect(isOurs(container(), 'other')).toBe(false);
    expect(isOurs(container({}, { [LABELS.instance]: '' }), 'thing')).toBe(false);
  });

  it('has the program below the supervisor, or the first process itself', () => {
    const processes = [
      { pid: 100, parent: 1, memoryBytes: 1 },
      { pid: 101, parent: 100, memoryBytes: 2 },
    ];
    expect(programOf(container(), processes)?.pid).toBe(101);
    expect(programOf(container({}, { [SUPERVISOR_LABEL]: 'engine' }), processes)?.pid).toBe(100);
    expect(programOf(container(), [])).toBeUndefined();
  });

  it('adds the restarts of the engine and of the supervisor', () => {
    const program = { pid: 7, memoryBytes: 9 };
    expect(stateOf(container({}, {}, 2), record('running', { restarts: 3, lastExit: 1 }), program)).toEqual({
      ...{ phase: 'running', supervised: true, restarts: 5, lastExit: 1, pid: 7, memoryBytes: 9 },
    });
    expect(stateOf(container({ ExitCode: 137 }, {}, 1), record('running'), undefined)).toMatchObject({ lastExit: 137 });
    expect(stateOf(container(), record('running'), undefined)).not.toHaveProperty('lastExit');
  });

  it('has no process and no health unless it runs', () => {
    const Health = { Status: 'unhealthy', Log: [] };
    const program = { pid: 7, memoryBytes: 9 };
    expect(stateOf(container({ Health }), record('running'), program)).toMatchObject({ health: 'unhealthy', pid: 7 });
    const waiting = stateOf(container({ Health }), record('waiting', { restarts: 1 }), program);
    expect(waiting).toEqual({ phase: 'waiting', supervised: true, restarts: 1 });
    expect(stateOf(container({ Health: { Status: 'none', Log: [] } }), record('running'), program)).not.toHaveProperty(
      'health',
    );
  });

  it('is supervised by nobody once it is given up', () => {
    expect(stateOf(container(), record('failed', { lastExit: 7 }), undefined)).toEqual({
      ...{ phase: 'failed', supervised: false, restarts: 0, lastExit: 7 },
    });
    expect(stateOf(container({ Status: 'exited', ExitCode: 137 }), record('running'), undefined)).toEqual({
      ...{ phase: 'lost', supervised: false, restarts: 0, lastExit: 137 },
    });
  });
});
