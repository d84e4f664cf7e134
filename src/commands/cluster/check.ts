import { readFile, writeFile } from 'node:fs/promises';
import { Flags } from '@oclif/core';
import type { RawNode } from '../../cluster/snapshot/raw.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ClusterCommand } from '../../cluster-command.js';
import type { ClusterFlagValues } from '../../config/cluster-flags.js';
import { EXIT_CODES, ForgeError } from '../../errors.js';
import { whoIsAtWork } from '../../operations/health/at-work.js';
import { examine, type Health } from '../../operations/health/health.js';
import { nagiosOf, nagiosOfFailure } from '../../operations/health/nagios.js';
import { overviewOf } from '../../operations/health/overview.js';
import { formatRecording, parseRecording } from '../../operations/health/recording.js';
import { type RunningJob, slotJobs } from '../../operations/health/slot-jobs.js';
import type { LockStatus } from '../../operations/lock/status.js';
import { healthLines, verdictLine } from '../../ui/cluster-health.js';
import { toForgeError } from '../../ui/failure.js';

interface Looked {
  readonly snapshot: ClusterSnapshot;
  /** Undefined for a recording: nobody can be asked. */
  readonly locks?: readonly LockStatus[];
  readonly jobs?: readonly RunningJob[];
}

export interface CheckResult extends Health {
  /** The address by which the cluster was found, or the recording. */
  readonly cluster: string;
  readonly nodes: number;
}

export default class ClusterCheck extends ClusterCommand {
  static override summary = 'Check a cluster: slots, nodes, replication, memory, placement.';
  static override description = `Asks every node and judges what they say. Changes nothing.
Exit code 0: nothing fails (warnings are shown); 9: something fails; 4: no node answers. With --strict, a warning is 9, too.
With --nagios: one line with figures, and the codes of its plugins: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --seed 10.0.0.1:6379',
    '<%= config.bin %> <%= command.id %> --strict --json',
    '<%= config.bin %> <%= command.id %> --nagios',
    '<%= config.bin %> <%= command.id %> --record cluster.json.gz',
  ];

  static override flags = {
    strict: Flags.boolean({ description: 'Exit with 9 on a warning, too.', default: false }),
    nagios: Flags.boolean({
      description: 'One line for Nagios, and its exit codes.',
      default: false,
      exclusive: ['json', 'strict'],
    }),
    record: Flags.string({
      description: 'Also write what all nodes answered to a file (compressed JSON, no keys, no secrets).',
      helpValue: 'FILE',
      exclusive: ['from'],
    }),
    from: Flags.string({
      description: 'Check what --record wrote, instead of a cluster.',
      helpValue: 'FILE',
      exclusive: ['seed'],
    }),
  };

  async run(): Promise<CheckResult | object> {
    if (!this.argv.includes('--nagios')) return this.#check();
    try {
      return await this.#check();
    } catch (error) {
      if (this.signal.aborted || !this.argv.includes('--nagios')) throw error;
      const { kind, message } = toForgeError(error);
      const { line, exitCode } = nagiosOfFailure(kind, message);
      this.output.data(line);
      process.exitCode = exitCode;
      return {};
    }
  }

  async #check(): Promise<CheckResult> {
    const { flags } = await this.parse(ClusterCheck);
    const { snapshot, locks, jobs } = flags.from === undefined ? await this.#look(flags) : await load(flags.from);
    const health = examine(snapshot, { locks, jobs });
    const { verdict, findings } = health;
    if (flags.nagios) {
      const { line, exitCode } = nagiosOf(health, overviewOf(snapshot));
      this.output.data(line);
      process.exitCode = exitCode;
    } else {
      const { colors } = this.output;
      for (const line of healthLines(findings, colors, { passing: !flags.quiet })) this.output.data(line);
      this.output.data(verdictLine(verdict, findings, colors));
      const bad = verdict === 'FAIL' || (flags.strict && verdict === 'WARN');
      process.exitCode = bad ? EXIT_CODES.verification : EXIT_CODES.done;
    }
    const nodes = snapshot.topology.nodes.length;
    return { cluster: flags.from ?? snapshot.reference.address, nodes, verdict, findings };
  }

  async #look(flags: ClusterFlagValues & { readonly record?: string }): Promise<Looked> {
    const recorded: RawNode[] = [];
    const record = flags.record === undefined ? undefined : (raw: RawNode) => recorded.push(raw);
    return this.withSession(
      flags,
      async (session) => {
        const { snapshot } = session;
        const [locks, jobs] = await Promise.all([whoIsAtWork(session), slotJobs(session, snapshot)]);
        if (flags.record !== undefined) await save(flags.record, formatRecording(recorded, snapshot.failures));
        return { snapshot, locks, jobs };
      },
      { record },
    );
  }
}

async function load(file: string): Promise<Looked> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    throw new ForgeError('configuration', `The recording ${file} cannot be read.`, { next: 'Check its path.', cause });
  }
  return { snapshot: parseRecording(bytes, file).snapshot };
}

async function save(file: string, bytes: Buffer): Promise<void> {
  try {
    await writeFile(file, bytes, { mode: 0o600 });
  } catch (cause) {
    throw new ForgeError('configuration', `The recording cannot be written to ${file}.`, {
      next: 'Check its folder.',
      cause,
    });
  }
}
