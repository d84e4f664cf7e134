import { Flags } from '@oclif/core';
import { ChangeCommand } from '../../change-command.js';
import { parseAddress } from '../../cluster/address.js';
import { readFollowing } from '../../cluster/snapshot/follow-setting.js';
import { readSlotKeys } from '../../cluster/snapshot/slot-keys.js';
import { moveFlags, readMove } from '../../config/move-flags.js';
import { addressWords } from '../../operations/planners/node-choice.js';
import {
  BALANCED_BY,
  planRebalance,
  rebalanceRequest,
  THRESHOLD_DEFAULT,
  THRESHOLD_MAX,
} from '../../operations/planners/rebalance.js';
import { parseWeight } from '../../operations/planners/weights.js';
import type { RunResult } from '../../operations/run.js';

export default class ClusterRebalance extends ChangeCommand {
  static override summary = 'Bring all masters to their share of slots, keys or memory.';
  static override description =
    `Moves as few slots as that takes; nothing when every master is within the threshold. All masters weigh the same
unless --weight, or forge.yaml, says otherwise; a weight of 0 drains a master, which stays a member.
Exit codes: 0 balanced (or was already), 2 unknown node, 4 a node unreachable, 5 a guard refused, 6 locked, 7 timed out,
8 partly done.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --by keys --threshold 5 --dry-run',
    '<%= config.bin %> <%= command.id %> --weight 10.0.0.1:6379=2 --weight 10.0.0.3:6379=0 --yes',
  ];

  static override flags = {
    by: Flags.option({
      options: BALANCED_BY,
      description: 'What is divided: slots, keys, or memory (estimated from keys).',
      default: 'slots' as const,
    })(),
    weight: Flags.string({
      description:
        'Share of a master, where others have 1; 0 drains it. May be given several times; forge.yaml keeps weights.',
      helpValue: 'NODE=W',
      multiple: true,
      multipleNonGreedy: true,
    }),
    threshold: Flags.integer({
      description: 'Percent by which a master may be off its share before anything moves.',
      default: THRESHOLD_DEFAULT,
      min: 0,
      max: THRESHOLD_MAX,
      helpValue: 'PERCENT',
    }),
    'use-empty-masters': Flags.boolean({ description: 'Masters without slots get their share, too.', default: false }),
    ...moveFlags,
  };

  async run(): Promise<RunResult> {
    const { flags } = await this.parse(ClusterRebalance);
    const options = {
      by: flags.by,
      weights: (flags.weight ?? []).flatMap((words) => words.split(',')).map(parseWeight),
      threshold: flags.threshold,
      useEmptyMasters: flags['use-empty-masters'],
    };
    return this.change({
      flags,
      operation: 'cluster rebalance',
      also: addressWords(options.weights.map(({ node }) => node)).map((word) => parseAddress(word)),
      request: rebalanceRequest(options),
      plan: async (snapshot, { pool, weights }) => {
        const following = await readFollowing(pool, snapshot);
        const slotKeys = options.by === 'slots' ? undefined : await readSlotKeys(pool, snapshot);
        return planRebalance(snapshot, options, {
          following,
          weights,
          ...(slotKeys === undefined ? {} : { slotKeys }),
        });
      },
      move: readMove(flags),
    });
  }
}
