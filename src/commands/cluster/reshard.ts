import { Flags } from '@oclif/core';
import { ChangeCommand } from '../../change-command.js';
import { parseAddress } from '../../cluster/address.js';
import { SLOT_COUNT } from '../../cluster/slots.js';
import { readFollowing } from '../../cluster/snapshot/follow-setting.js';
import { moveFlags, readMove } from '../../config/move-flags.js';
import { ForgeError } from '../../errors.js';
import { addressWords, splitWords } from '../../operations/planners/node-choice.js';
import { parseSlots, planReshard, reshardRequest } from '../../operations/planners/reshard.js';
import type { RunResult } from '../../operations/run.js';

export default class ClusterReshard extends ChangeCommand {
  static override summary = 'Move so many slots, or just these, to one master.';
  static override description =
    `With --slots, all other masters (or those of --from) give in proportion to what they have. With --ranges, exactly
these slots move, from whoever serves them.
Exit codes: 0 moved (or were there already), 2 unknown node or wrong numbers, 4 a node unreachable, 5 a guard refused,
6 locked, 7 timed out, 8 partly done.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --to 10.0.0.4:6379 --slots 1000',
    '<%= config.bin %> <%= command.id %> --to 10.0.0.4:6379 --from 10.0.0.1:6379 --slots 500 --yes',
    '<%= config.bin %> <%= command.id %> --to 10.0.0.4:6379 --ranges 0-99,8000 --dry-run',
  ];

  static override flags = {
    to: Flags.string({ description: 'The master that gets them: id or address.', helpValue: 'NODE' }),
    from: Flags.string({
      description: 'Masters that give them, separated by commas; all others when not given.',
      helpValue: 'NODE[,NODE]',
      multiple: true,
      multipleNonGreedy: true,
    }),
    slots: Flags.integer({ description: 'How many.', min: 1, max: SLOT_COUNT, helpValue: 'N', exclusive: ['ranges'] }),
    ranges: Flags.string({ description: 'Which.', helpValue: 'SLOTS' }),
    ...moveFlags,
  };

  async run(): Promise<RunResult> {
    const { flags } = await this.parse(ClusterReshard);
    const { to = '', ranges } = flags;
    const from = splitWords(flags.from ?? []);
    if (flags.plan === undefined && (to === '' || (flags.slots === undefined && ranges === undefined))) {
      throw new ForgeError('usage', 'It is not said which slots move where.', {
        next: 'Name the master with --to, and how many with --slots or which with --ranges.',
      });
    }
    const options = { to, from, slots: ranges === undefined ? (flags.slots ?? 0) : parseSlots(ranges) };
    return this.change({
      flags,
      operation: 'cluster reshard',
      also: addressWords([to, ...from]).map((word) => parseAddress(word)),
      request: reshardRequest(options),
      plan: async (snapshot, { pool }) => planReshard(snapshot, options, await readFollowing(pool, snapshot)),
      move: readMove(flags),
    });
  }
}
