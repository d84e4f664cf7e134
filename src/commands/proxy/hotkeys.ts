import { Flags } from '@oclif/core';
import { ForgeCommand } from '../../base-command.js';
import { proxyChoice, proxyChoiceFlags } from '../../config/proxy-choice.js';
import { DEFAULT_ADMIN } from '../../config/proxy-flags.js';
import type { AdminAddress } from '../../proxy/control/admin.js';
import { findAdmin } from '../../proxy/control/admin-address.js';
import { type HotKey, takeHotKeys } from '../../proxy/control/top/sample.js';
import { hotKeyTable } from '../../proxy/control/top/tables.js';
import { printable } from '../../ui/printable.js';
import { renderTable } from '../../ui/table.js';

const COUNT_MAX = 100_000;
/** Of a key; the whole of it is in --json. */
const KEY_CHARACTERS_MAX = 200;

export default class ProxyHotkeys extends ForgeCommand {
  static override summary = 'Show the keys that are used most, as the proxy sees them.';
  static override description =
    `Rates are estimated from samples, faded over the last minute; an error as large as the rate means one key of many.

Without --pid-file, --name and --admin: the proxy that runs here, when there is only one.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --count 100 --json',
  ];

  static override flags = {
    ...proxyChoiceFlags,
    admin: Flags.string({
      description: `Its admin address; default what the process says, else ${DEFAULT_ADMIN}.`,
      helpValue: 'HOST:PORT',
    }),
    count: Flags.integer({
      char: 'n',
      description: 'How many keys.',
      helpValue: 'N',
      default: 20,
      min: 1,
      max: COUNT_MAX,
    }),
  };

  async run(): Promise<{ admin: AdminAddress; hotKeys: HotKey[] }> {
    const { flags } = await this.parse(ProxyHotkeys);
    const { admin, words } = await findAdmin(proxyChoice(flags), flags.admin, this.signal);
    if (words !== undefined) this.output.message(`Using ${words}.`);
    const hotKeys = await takeHotKeys(admin, flags.count, this.signal);
    const { columns, rows } = hotKeyTable(hotKeys);
    const cells = rows.map((row) => row.map((cell) => printable(cell, KEY_CHARACTERS_MAX)));
    if (hotKeys.length > 0) this.output.data(renderTable(columns, cells));
    else this.output.data('No key was used lately, or statistics.hot_key_samples_per_second is 0.');
    return { admin, hotKeys };
  }
}
