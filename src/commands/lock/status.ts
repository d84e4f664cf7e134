import { ClusterCommand } from '../../cluster-command.js';
import { type LockStatus, lockStatus } from '../../operations/lock/status.js';
import { printable } from '../../ui/printable.js';
import { renderTable } from '../../ui/table.js';

interface LockStatusResult {
  readonly locked: boolean;
  readonly locks: readonly LockStatus[];
}

export default class LockStatusCommand extends ClusterCommand {
  static override summary = 'Show who is changing the cluster at the moment.';
  static override description =
    'Exit code 0 whether somebody is or not; with --json, "locked" says so. A lock without a sign of life for 30 seconds has expired: the next operation takes it over.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --seed 10.0.0.1:6379 --json',
  ];

  async run(): Promise<LockStatusResult> {
    const { flags } = await this.parse(LockStatusCommand);
    const { locks, members } = await this.withSession(flags, async ({ pool, memberIds }) => ({
      locks: await lockStatus(pool, memberIds),
      members: memberIds.length,
    }));
    if (locks.length === 0) this.output.data('Nobody changes this cluster.');
    else {
      const rows = locks.map(({ owner, phase, idleSeconds, expired, nodeIds }) => [
        printable(`${owner.user}@${owner.host}`),
        owner.pid,
        printable(owner.operation),
        printable(owner.startedAt),
        expired ? 'expired' : phase,
        `${idleSeconds} s ago`,
        `${nodeIds.length} of ${members}`,
        owner.token,
      ]);
      this.output.data(renderTable(['WHO', 'PROCESS', 'OPERATION', 'SINCE', 'STATE', 'HEARD', 'NODES', 'TOKEN'], rows));
    }
    return { locked: locks.some(({ expired, phase }) => !expired && phase === 'holding'), locks };
  }
}
