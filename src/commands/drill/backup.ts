import { Flags } from '@oclif/core';
import { DrillCommand, type DrillResult } from '../../drill-command.js';
import { backupRehearsal, scratchDirectory } from '../../drills/rehearsals/backup.js';
import { forgeHome } from '../../local/paths.js';

export default class DrillBackup extends DrillCommand {
  static override summary = 'Rehearse a backup under load, its proof, and a restore as files.';
  static override description =
    `Backs all masters up into a folder of its own, proves every byte, loads it into servers of this host that nobody else
reaches, restores it as files, and removes all of it. Backups that are there, and data of the cluster, are not touched. Clients
that check everything work through the proxy meanwhile. It needs --yes and the cluster's name.
Exit codes: 0 every bound holds, 2 wrong flags, 4 a node or the proxy unreachable, 5 refused, no room or not confirmed, 6 a
backup is at work, 9 the backup has a fault, or a bound does not hold, 10 there is no server on this host that loads it.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --name local --yes --confirm local',
    '<%= config.bin %> <%= command.id %> --scratch /srv/scratch --html backup.html --yes --confirm staging',
  ];

  static override flags = {
    scratch: Flags.string({
      description:
        'Folder with room for the backup and for the files of its restore; the one for temporary files when not given.',
      helpValue: 'DIR',
    }),
  };

  async run(): Promise<DrillResult> {
    const { flags } = await this.parse(DrillBackup);
    const directory = flags.scratch ?? scratchDirectory();
    return this.drill(flags, (stage) =>
      backupRehearsal(stage, { directory, forge: this.config.version, home: forgeHome() }),
    );
  }
}
