import { Flags } from '@oclif/core';
import { parseAddressList } from '../../cluster/address.js';
import { REPLICAS_PER_MASTER_MAX } from '../../cluster/init/plan.js';
import { DrillCommand, type DrillResult } from '../../drill-command.js';
import { scaleRehearsal } from '../../drills/rehearsals/scale.js';

export default class DrillScale extends DrillCommand {
  static override summary = 'Rehearse that masters join with their share of the slots, and leave again.';
  static override description =
    `Does what "forge scale add" and "forge scale remove" do with the empty nodes that --with names, while clients that check
everything work through the proxy: they may see a pause of a second at most, and no error. For staging: it needs --yes and the
cluster's name.
Exit codes: 0 every bound holds, 2 wrong flags, 4 a node or the proxy unreachable, 5 refused or not confirmed, 6 locked,
7 timed out, 8 partly done, 9 a bound does not hold.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --with 10.0.0.7:6379 --yes --confirm staging',
    '<%= config.bin %> <%= command.id %> --with 10.0.0.7:6379,10.0.0.8:6379 --replicas 1 --html scale.html --yes --confirm staging',
  ];

  static override flags = {
    with: Flags.string({
      description: 'Empty nodes in cluster mode that join and leave, separated by commas.',
      helpValue: 'HOST:PORT,...',
      required: true,
    }),
    replicas: Flags.integer({
      description: 'Replicas of every new master; they are chosen among these nodes.',
      default: 0,
      min: 0,
      max: REPLICAS_PER_MASTER_MAX,
      helpValue: 'N',
    }),
  };

  async run(): Promise<DrillResult> {
    const { flags } = await this.parse(DrillScale);
    const nodes = parseAddressList(flags.with);
    return this.drill(flags, (stage) => scaleRehearsal(stage, { nodes, replicas: flags.replicas }));
  }
}
