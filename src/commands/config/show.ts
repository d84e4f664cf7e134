import { ForgeCommand } from '../../base-command.js';
import { clusterFlags, readSettings } from '../../config/cluster-flags.js';
import { requireKnownName } from '../../config/resolve.js';
import { type SettingLine, settingLines } from '../../config/resolve-report.js';
import { printable } from '../../ui/printable.js';
import { renderTable } from '../../ui/table.js';

export default class ConfigShow extends ForgeCommand {
  static override summary = 'Show what flags, environment, .env and forge.yaml add up to.';
  static override description =
    'What a command with the same flags, in the same folder, would use, and where each setting comes from. Secrets are not shown, and no node is spoken to. Exit codes: 0 shown, 3 a file or a variable is wrong.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --name orders --json',
  ];
  static override flags = clusterFlags;

  async run(): Promise<{ settings: SettingLine[] }> {
    const { flags } = await this.parse(ConfigShow);
    const settings = await readSettings(flags);
    requireKnownName(settings);
    const lines = settingLines(flags, settings);
    const rows = lines.map(({ setting, value, from }) => [setting, printable(value), printable(from)]);
    this.output.data(renderTable(['SETTING', 'VALUE', 'FROM'], rows));
    return { settings: lines };
  }
}
