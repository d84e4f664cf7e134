import { type TakenUp, UnfinishedCommand, unfinishedArgs, unfinishedFlags } from '../unfinished-command.js';

export default class Rollback extends UnfinishedCommand {
  static override summary = 'Undo a change of a cluster that was interrupted.';
  static override description =
    `Lists what is unfinished, or undoes the operation that is named: every step that was begun, the last first. Keys are never
thrown away: slots that have moved are moved back. What cannot be undone is told before anything is changed.
Exit codes: 0 undone, 2 no such operation, 4 a node unreachable, 5 refused, 6 locked, 7 timed out, 9 not in order afterwards.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 20261121-190512-3fa1c0',
    '<%= config.bin %> <%= command.id %> 20261121-190512-3fa1c0 --dry-run',
  ];

  static override args = unfinishedArgs;
  static override flags = unfinishedFlags;

  async run(): Promise<TakenUp> {
    const { args, flags } = await this.parse(Rollback);
    return this.takeUp('rollback', args.operation, flags);
  }
}
