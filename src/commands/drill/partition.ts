import { Flags } from '@oclif/core';
import { parseDuration } from '../../config/duration.js';
import { DrillCommand, type DrillResult } from '../../drill-command.js';
import { hangRehearsal } from '../../drills/rehearsals/loss.js';

const FOR_MIN_MS = 1_000;
const FOR_MAX_MS = 5 * 60_000;

export default class DrillPartition extends DrillCommand {
  static override summary = 'Rehearse that a master is cut off: nothing goes in or out of it for a time.';
  static override description =
    `The master stands still, its connections open: to all others it is as if the network had swallowed it. It goes on by
itself after --for, even if this command is killed meanwhile. Works on a cluster of forge up, on containers of forge deploy,
and where nodes take DEBUG (enable-debug-command). Clients that check everything work through the proxy meanwhile. For
staging: it needs --yes and the cluster's name.
Exit codes: 0 every bound holds, 2 wrong flags, 4 a node or the proxy unreachable, 5 refused or not confirmed, 7 not whole
again in time, 9 a bound does not hold.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --name local --yes --confirm local',
    '<%= config.bin %> <%= command.id %> --for 30s --node 10.0.0.1:6379 --beside --yes --confirm staging',
  ];

  static override flags = {
    for: Flags.string({
      description: 'How long it stands still.',
      default: '10s',
      helpValue: 'DURATION',
    }),
    node: Flags.string({
      description: 'The master; the first that has a replica when not given.',
      helpValue: 'NODE',
    }),
  };

  async run(): Promise<DrillResult> {
    const { flags } = await this.parse(DrillPartition);
    const forMs = parseDuration(flags.for, { minMs: FOR_MIN_MS, maxMs: FOR_MAX_MS });
    return this.drill(flags, async (stage, settings) => {
      const { reachOf } = await import('../../drills/rehearsals/reach/find.js');
      const reach = await reachOf({ settings, bySeed: flags.seed !== undefined, pool: stage.session.pool });
      const { node } = flags;
      const replicas = flags['wait-replicas'];
      return hangRehearsal(stage, { reach, replicas, forMs, ...(node === undefined ? {} : { node }) });
    });
  }
}
