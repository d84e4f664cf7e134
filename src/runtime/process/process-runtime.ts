/**
 * Instances as processes of this host. Each has a supervisor of its own, a shell script of less than two megabytes that
 * restarts it after a crash (templates/supervise.sh): no daemon of ours that could take all nodes down with it, and
 * nothing but a POSIX shell is needed where the node runs.
 */
import { spawn } from 'node:child_process';
import { access, constants, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { ForgeError } from '../../errors.js';
import { makePrivateDirectory, tailLines, writeFileAtomic } from '../files.js';
import type {
  InstanceFile,
  InstanceRef,
  InstanceSpec,
  InstanceState,
  Runtime,
  StopOptions,
  StopOutcome,
} from '../runtime.js';
import { templatePath } from '../template.js';
import { waitFor } from '../wait.js';
import { isAlive, type ProcessIdentity, residentBytes, signalProcess } from './identity.js';
import { markStopped, readRecord, type SupervisorRecord } from './record.js';

/** How long a supervisor may take to start its program and write the first record, milliseconds. */
const SUPERVISOR_START_MS = 10_000;
/** How long a process may live on after SIGKILL, milliseconds (a process in uninterruptible sleep does). */
const KILL_WAIT_MS = 5_000;
/** SIGTERM is repeated at this interval while a program is given time to end. */
const TERM_REPEAT_MS = 1000;
/** How long a supervisor may take to end after its last record, milliseconds. */
const SUPERVISOR_END_MS = 5_000;
const POLL_MS = 10;

export class ProcessRuntime implements Runtime {
  readonly kind = 'process';

  async start(spec: InstanceSpec): Promise<InstanceState> {
    let before = await this.#look(spec);
    if (isOver(before.record) && before.supervisor !== undefined) {
      // Its last record is written a moment before it ends.
      await this.#wait(spec, SUPERVISOR_END_MS);
      before = await this.#look(spec);
    }
    if (before.child !== undefined || before.supervisor !== undefined) return await this.inspect(spec);
    await access(spec.program, constants.X_OK).catch((cause) => {
      throw new ForgeError('missing', `${spec.program} is not there or may not be executed.`, { cause });
    });
    await makePrivateDirectory(spec.directory);
    for (const file of spec.files) {
      await makePrivateDirectory(path.dirname(file.path));
      await writeFileAtomic(file.path, file.content, file.mode);
    }
    const supervisorPid = await this.#spawnSupervisor(spec);
    const started = await waitFor(
      async () => {
        const { record } = await this.#look(spec);
        return record?.supervisor?.pid === supervisorPid ? record : undefined;
      },
      { timeoutMs: SUPERVISOR_START_MS, intervalMs: POLL_MS },
    );
    if (started === undefined) {
      throw new ForgeError('timeout', `${spec.name} was not started within ${SUPERVISOR_START_MS / 1000} s.`, {
        next: `Look into ${outputFile(spec)}.`,
      });
    }
    return await this.inspect(spec);
  }

  async inspect(ref: InstanceRef): Promise<InstanceState> {
    const { record, supervisor, child } = await this.#look(ref);
    if (record === undefined) return { phase: 'absent', supervised: false, restarts: 0 };
    const common = {
      supervised: supervisor !== undefined,
      restarts: record.restarts,
      ...(record.lastExit === undefined ? {} : { lastExit: record.lastExit }),
    };
    if (child !== undefined) {
      const memoryBytes = await residentBytes(child.pid);
      return { phase: 'running', pid: child.pid, ...common, ...(memoryBytes === undefined ? {} : { memoryBytes }) };
    }
    if (record.phase === 'running' || record.phase === 'waiting') {
      // With its supervisor there, the program has just crashed and the record is about to say so.
      return { phase: supervisor === undefined ? 'lost' : 'waiting', ...common };
    }
    return { phase: record.phase, ...common };
  }

  async stop(ref: InstanceRef, { graceMs }: StopOptions): Promise<StopOutcome> {
    const { supervisor, child } = await this.#look(ref);
    // The supervisor is told, not the program, or it would start the program again.
    const first = supervisor ?? child;
    if (first === undefined) return 'absent';
    // Said again until it is heard: a program that its supervisor has forked and not yet executed loses the signal.
    const deadline = performance.now() + graceMs;
    do {
      await signalProcess(first, 'SIGTERM');
      const left = deadline - performance.now();
      if (await this.#wait(ref, Math.min(TERM_REPEAT_MS, Math.max(left, 0)))) return 'ended';
    } while (performance.now() < deadline);
    // The supervisor goes first: the other way round it could restart what was just killed.
    for (const part of ['supervisor', 'child'] as const) {
      const victim = (await this.#look(ref))[part];
      if (victim !== undefined) await signalProcess(victim, 'SIGKILL');
    }
    if (await this.#wait(ref, KILL_WAIT_MS)) {
      await markStopped(recordFile(ref));
      return 'killed';
    }
    const left = await this.#look(ref);
    throw new ForgeError('timeout', `${ref.name} (process ${left.child?.pid ?? left.supervisor?.pid}) does not end.`, {
      next: 'A process that survives SIGKILL waits for the kernel, mostly for a disk; look at the disk and try again.',
    });
  }

  async outputTail(ref: InstanceRef & Pick<InstanceSpec, 'outputFile'>, lines: number): Promise<string[]> {
    return await tailLines(outputFile(ref), lines);
  }

  async putFiles(ref: InstanceRef, files: readonly InstanceFile[]): Promise<void> {
    if ((await readRecord(recordFile(ref))) === undefined) {
      throw new ForgeError('missing', `There is no ${ref.name} in ${ref.directory}.`, { next: 'Start it first.' });
    }
    for (const file of files) {
      if (file.path.startsWith(`${path.resolve(ref.directory)}${path.sep}`) && path.resolve(file.path) === file.path) {
        continue;
      }
      throw new ForgeError('configuration', `${file.path} is not below ${ref.directory}.`);
    }
    for (const file of files) {
      await makePrivateDirectory(path.dirname(file.path));
      await writeFileAtomic(file.path, file.content, file.mode);
    }
  }

  async remove(ref: InstanceRef): Promise<void> {
    const { supervisor, child } = await this.#look(ref);
    if (supervisor !== undefined || child !== undefined) {
      throw new ForgeError('refused', `${ref.name} in ${ref.directory} runs.`, { next: 'Stop it first.' });
    }
    for (const file of [recordFile(ref), outputFile(ref)]) await rm(file, { force: true });
  }

  /** The record, and which of the two processes that it names are there. */
  async #look(ref: InstanceRef): Promise<{
    record?: SupervisorRecord;
    supervisor?: ProcessIdentity;
    child?: ProcessIdentity;
  }> {
    const record = await readRecord(recordFile(ref));
    const present = async (identity?: ProcessIdentity) =>
      identity !== undefined && (await isAlive(identity)) ? identity : undefined;
    return { record, supervisor: await present(record?.supervisor), child: await present(record?.child) };
  }

  async #wait(ref: InstanceRef, timeoutMs: number): Promise<boolean> {
    const gone = await waitFor(
      async () => {
        const { supervisor, child } = await this.#look(ref);
        return supervisor === undefined && child === undefined ? true : undefined;
      },
      { timeoutMs, intervalMs: POLL_MS },
    );
    return gone === true;
  }

  /** Starts the supervisor in a session of its own, so that it survives this program and its terminal. */
  async #spawnSupervisor(spec: InstanceSpec): Promise<number> {
    const { restart } = spec;
    const file = outputFile(spec);
    await makePrivateDirectory(path.dirname(file));
    const output = await open(file, 'a', 0o600).catch((cause) => {
      throw new ForgeError('configuration', `${file} cannot be written.`, { cause });
    });
    try {
      const limits = [restart.delayS, restart.delayMaxS, restart.budget, restart.windowS].map(String);
      const child = spawn(
        '/bin/sh',
        [templatePath('supervise.sh'), recordFile(spec), ...limits, spec.program, ...spec.args],
        { cwd: spec.directory, env: spec.env, detached: true, stdio: ['ignore', output.fd, output.fd] },
      );
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve);
        child.once('error', reject);
      });
      child.unref();
      return child.pid as number;
    } finally {
      await output.close();
    }
  }
}

/** Whether its supervisor has nothing to do any more. */
function isOver(record: SupervisorRecord | undefined): boolean {
  return record !== undefined && record.phase !== 'running' && record.phase !== 'waiting';
}

function recordFile(ref: InstanceRef): string {
  return path.join(ref.directory, `${ref.name}.run`);
}

function outputFile(ref: InstanceRef & Pick<InstanceSpec, 'outputFile'>): string {
  return ref.outputFile ?? path.join(ref.directory, `${ref.name}.out`);
}
