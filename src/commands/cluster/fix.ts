import { Flags } from '@oclif/core';
import { ChangeCommand } from '../../change-command.js';
import { ALL_SLOTS } from '../../cluster/slots.js';
import { keepFlag } from '../../config/move-flags.js';
import { parseForce } from '../../operations/guards/index.js';
import { slotJobs } from '../../operations/health/slot-jobs.js';
import { readSlotKeys } from '../../operations/health/slot-keys.js';
import { planFix } from '../../operations/planners/fix.js';
import { chooseNodes, splitWords } from '../../operations/planners/node-choice.js';
import type { RunResult } from '../../operations/run.js';

export default class ClusterFix extends ChangeCommand {
  static override summary = 'Repair slots: close open ones, give those that nobody has to a master, make nodes agree.';
  static override description =
    `By a stated rule for each case (docs/cluster-fix.md): no key is dropped but by --keep, nothing is guessed.
What cannot be known is refused, with the reason and what to do; --force GUARD leaves that as it is and repairs the rest.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --dry-run',
    '<%= config.bin %> <%= command.id %> --seed 10.0.0.1:6379',
    '<%= config.bin %> <%= command.id %> --force nodes-down --yes',
  ];

  static override flags = {
    abandon: Flags.string({
      description:
        'A dead master that is gone with its keys, and without a replica: its slots go to the other masters, empty.',
      helpValue: 'ID|HOST:PORT',
      multiple: true,
      multipleNonGreedy: true,
    }),
    strays: Flags.boolean({
      description: 'Also send keys home that a master holds of slots of another, and that nobody sees.',
      default: false,
    }),
    ...keepFlag,
  };

  async run(): Promise<RunResult> {
    const { flags } = await this.parse(ClusterFix);
    const force = parseForce(flags.force ?? []);
    const words = splitWords(flags.abandon ?? []);
    return this.change({
      repairs: true,
      flags,
      operation: 'cluster fix',
      move: flags.keep === undefined ? {} : { keep: flags.keep },
      // So that nobody gives keys up by the habit of saying yes.
      ...(words.length > 0 ? { confirmWord: 'abandon' } : {}),
      plan: async (snapshot, session) => {
        const abandon = chooseNodes(snapshot, words);
        const [keys, jobs] = await Promise.all([
          readSlotKeys(session, snapshot, ALL_SLOTS),
          slotJobs(session, snapshot),
        ]);
        return planFix(snapshot, keys, { force, abandon, strays: flags.strays, jobs });
      },
    });
  }
}
