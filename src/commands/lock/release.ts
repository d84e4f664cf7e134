import { Args } from '@oclif/core';
import { dryRunFlag, yesFlag } from '../../base-command.js';
import { ClusterCommand } from '../../cluster-command.js';
import { ForgeError } from '../../errors.js';
import { appendAudit } from '../../operations/audit.js';
import { operationPaths } from '../../operations/home.js';
import { describeOwner } from '../../operations/lock/lock.js';
import type { LockOwner } from '../../operations/lock/name.js';
import { type LockStatus, lockStatus } from '../../operations/lock/status.js';
import { takeAway } from '../../operations/lock/take-away.js';
import type { ClusterSession } from '../../operations/session.js';
import { printable } from '../../ui/printable.js';

interface LockReleaseResult {
  readonly status: 'released' | 'planned' | 'unchanged';
  readonly owner?: LockOwner;
  /** Connections that were closed at the nodes. */
  readonly closed?: number;
}

export default class LockRelease extends ClusterCommand {
  static override summary = 'Take the lock of a cluster away from its owner.';
  static override description =
    `For an owner that must not go on and cannot be asked: all its connections are closed at the nodes, what it still sends is
not executed, and it finds itself locked out when it comes back. A lock whose owner died needs none of that: the next
operation takes it over. What the owner had begun stays as it is; finish it with forge resume, on the owner's machine.
Exit codes: 0 released (or nobody held it), 2 several hold or ask for it and none is named, 4 no node answers,
5 not confirmed, 6 the owner takes it again.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 8d2e61f0a9b3c4d5 --yes',
  ];

  static override args = {
    token: Args.string({ description: 'Whose lock, as forge lock status shows it; needed when there are several.' }),
  };
  static override flags = { ...yesFlag, ...dryRunFlag };

  async run(): Promise<LockReleaseResult> {
    const { args, flags } = await this.parse(LockRelease);
    return this.withSession(flags, async (session) => {
      const found = choose(await lockStatus(session.pool, session.memberIds), args.token);
      if (found === undefined) {
        this.output.message(args.token === undefined ? 'Nobody holds the lock.' : `${args.token} holds no lock.`);
        return { status: 'unchanged' };
      }
      const { owner, idleSeconds, expired } = found;
      this.output.data(`${printable(describeOwner(owner))}, heard ${idleSeconds} s ago${expired ? ': expired' : ''}`);
      if (flags['dry-run']) return { status: 'planned', owner };
      // One that is alive is at work: that takes more than a key that was pressed too early.
      const confirmWord = expired ? undefined : `${owner.user}@${owner.host}`;
      if (!expired) this.output.warning('it is alive. What it is doing ends in the middle; forge resume finishes it.');
      await this.confirm('Take the lock away?', { confirmWord });
      return this.#release(session, owner);
    });
  }

  async #release(session: ClusterSession, owner: LockOwner): Promise<LockReleaseResult> {
    const { closed, takenBy } = await takeAway(session, owner, this.signal);
    await appendAudit(operationPaths().audit, {
      event: 'lock-released',
      operation: 'lock release',
      title: `Take the lock away from ${describeOwner(owner)}`,
      operator: session.operator,
      cluster: session.cluster,
      ...(session.name === undefined ? {} : { name: session.name }),
    });
    this.output.data(`Released: ${closed} connections were closed.`);
    if (takenBy !== undefined) this.output.message(`${printable(describeOwner(takenBy))} has taken it.`);
    return { status: 'released', owner, closed };
  }
}

function choose(locks: readonly LockStatus[], token: string | undefined): LockStatus | undefined {
  if (token !== undefined) return locks.find(({ owner }) => owner.token === token);
  const holding = locks.filter(({ phase }) => phase === 'holding');
  const candidates = holding.length > 0 ? holding : locks;
  if (candidates.length <= 1) return candidates[0];
  throw new ForgeError('usage', `${candidates.length} operators hold the lock or ask for it.`, {
    next: 'Name the one that is meant, by the token that forge lock status shows.',
  });
}
