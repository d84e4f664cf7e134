import { setTimeout as sleep } from 'node:timers/promises';
import { Flags } from '@oclif/core';
import { ForgeCommand } from '../../base-command.js';
import { proxyChoice, proxyChoiceFlags } from '../../config/proxy-choice.js';
import { DEFAULT_ADMIN } from '../../config/proxy-flags.js';
import { ForgeError } from '../../errors.js';
import type { AdminAddress } from '../../proxy/control/admin.js';
import { findAdmin } from '../../proxy/control/admin-address.js';
import { compareSamples, ORDERS, type Order, type TopReport } from '../../proxy/control/top/report.js';
import { takeSample } from '../../proxy/control/top/sample.js';
import { commandTable, headLines, hotKeyTable, type TopTable, upstreamTable } from '../../proxy/control/top/tables.js';
import { canDraw, showLive } from '../../ui/live.js';
import { printable } from '../../ui/printable.js';
import { renderTable } from '../../ui/table.js';

const INTERVAL_MAX_S = 60;
const COUNT_MAX = 500;
/** Of a key or an error; the whole of it is in --json. */
const CELL_CHARACTERS_MAX = 100;

interface Watched {
  admin: AdminAddress;
  count: number;
  order: Order;
  intervalMs: number;
}

export default class ProxyTop extends ForgeCommand {
  static override summary = 'Show what a proxy is doing: commands, times, upstreams, hot keys.';
  static override description =
    `On a terminal the page is drawn anew every --interval seconds, until q or Ctrl-C. Elsewhere, with --once and with --json
there is one page, of one interval. Rates are those of the interval; times are those of the last five seconds, as the
proxy measures them.

Without --pid-file, --name and --admin: the proxy that runs here, when there is only one.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --admin 10.0.0.5:9901 --sort p99',
    '<%= config.bin %> <%= command.id %> --once --interval 10',
  ];

  static override flags = {
    ...proxyChoiceFlags,
    admin: Flags.string({
      description: `Its admin address; default what the process says, else ${DEFAULT_ADMIN}.`,
      helpValue: 'HOST:PORT',
    }),
    once: Flags.boolean({ description: 'Show one page and end.', default: false }),
    interval: Flags.integer({
      description: 'Seconds from one page to the next, and of which rates are.',
      helpValue: 'S',
      default: 2,
      min: 1,
      max: INTERVAL_MAX_S,
    }),
    count: Flags.integer({
      char: 'n',
      description: 'Rows of each table.',
      helpValue: 'N',
      default: 10,
      min: 1,
      max: COUNT_MAX,
    }),
    sort: Flags.option({
      options: ORDERS,
      description: 'What the commands are ordered by.',
      default: 'rate' as const,
    })(),
  };

  async run(): Promise<TopReport & { admin: AdminAddress }> {
    const { flags } = await this.parse(ProxyTop);
    const { admin, words } = await findAdmin(proxyChoice(flags), flags.admin, this.signal);
    if (words !== undefined) this.output.message(`Using ${words}.`);
    const { count, sort, interval, once } = flags;
    const watched: Watched = { admin, count, order: sort, intervalMs: interval * 1000 };
    if (once || this.jsonEnabled() || !canDraw()) return await this.#once(watched);
    return await this.#live(watched);
  }

  async #once({ admin, count, order, intervalMs }: Watched): Promise<TopReport & { admin: AdminAddress }> {
    const first = await takeSample(admin, 0, this.signal);
    await sleep(intervalMs, undefined, { signal: this.signal });
    const report = compareSamples(first, await takeSample(admin, count, this.signal), order);
    for (const line of this.#lines(report, count)) this.output.data(line);
    return { admin, ...report };
  }

  async #live({ admin, count, order, intervalMs }: Watched): Promise<TopReport & { admin: AdminAddress }> {
    // A proxy that is not there at all is an error; one that goes away while it is looked at may come back.
    let sample = await takeSample(admin, count, this.signal);
    let report = compareSamples(undefined, sample, order);
    let pages = 0;
    let silentSince: string | undefined;
    const page = async (signal: AbortSignal): Promise<string[]> => {
      try {
        const next = pages++ === 0 ? sample : await takeSample(admin, count, signal);
        if (next !== sample) report = compareSamples(sample, next, order);
        sample = next;
        silentSince = undefined;
        return this.#lines(report, count);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ForgeError)) throw error;
        silentSince ??= new Date().toISOString();
        const fault = this.output.colors.red(printable(`${error.message} (${error.host ?? 'admin'})`));
        return [`${fault} Since ${silentSince}; what was seen last:`, '', ...this.#lines(report, count)];
      }
    };
    await showLive({ page, intervalMs, signal: this.signal });
    return { admin, ...report };
  }

  #lines(report: TopReport, count: number): string[] {
    const { bold, dim } = this.output.colors;
    const [first = '', ...others] = headLines(report).map((line) => printable(line));
    const tables = [commandTable(report, count), upstreamTable(report, count)];
    if (report.hotKeys.length > 0) tables.push(hotKeyTable(report.hotKeys));
    return [bold(first), ...others, ...tables.flatMap((table) => ['', ...drawTable(table, bold, dim)])];
  }
}

function drawTable({ columns, rows, hidden }: TopTable, bold: (text: string) => string, dim: (text: string) => string) {
  const cells = rows.map((row) => row.map((cell) => printable(cell, CELL_CHARACTERS_MAX)));
  const [head = '', ...lines] = renderTable(columns, cells).split('\n');
  return [bold(head), ...lines, ...(hidden === 0 ? [] : [dim(`and ${hidden} more: --count, --json`)])];
}
