import { type TakenUp, UnfinishedCommand, unfinishedArgs, unfinishedFlags } from '../unfinished-command.js';

export default class Resume extends UnfinishedCommand {
  static override summary = 'Finish a change of a cluster that was interrupted.';
  static override description =
    `Lists what is unfinished, or finishes the operation that is named. Every step looks at the cluster first; what is done is
not done again. The cluster is found by the nodes that the operation knows, when nothing else is said.
Exit codes: 0 finished, 2 no such operation, 4 a node unreachable, 5 refused, 6 locked, 7 timed out, 8 partly done,
9 not in order afterwards.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 20261121-190512-3fa1c0',
    '<%= config.bin %> <%= command.id %> 20261121-190512-3fa1c0 --yes --json',
  ];

  static override args = unfinishedArgs;
  static override flags = unfinishedFlags;

  async run(): Promise<TakenUp> {
    const { args, flags } = await this.parse(Resume);
    return this.takeUp('resume', args.operation, flags);
  }
}
