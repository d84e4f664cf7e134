import { Args, Flags } from '@oclif/core';
import { ForgeCommand } from '../../base-command.js';
import { readSettings, settingsFlags } from '../../config/cluster-flags.js';
import { loadDeploySettings } from '../../config/deploy-settings-load.js';
import { findLogs, followLogs, type LogLine, readLogs } from '../../deploy/logs.js';
import { ForgeError } from '../../errors.js';
import { printable } from '../../ui/printable.js';

const LINES_MAX = 100_000;
/** What docker itself keeps apart from a time. */
const SINCE =
  /^(?:\d{1,9}(?:\.\d{1,3})?(?:s|m|h)(?:\d{1,9}[ms]){0,2}|\d{4}-\d\d-\d\d(?:T[\d:.]{5,18}(?:Z|[+-]\d\d:\d\d)?)?)$/;

interface LogsResult {
  readonly host: string;
  readonly container: string;
  /** Empty with --follow: they were shown as they came. */
  readonly lines: readonly LogLine[];
}

export default class DeployLogs extends ForgeCommand {
  static override summary = 'Show the log of a deployed node, or of another container of the cluster.';
  static override description =
    `The node is named by its address in forge.yaml, any other container by its name (forge deploy status lists them).
With --follow it goes on until Ctrl-C or until the container ends. Exit codes: 0 shown, 2 no such node or container, 4 the
host does not answer.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> 10.0.0.1:6379',
    '<%= config.bin %> <%= command.id %> 10.0.0.1:6379 --since 10m --lines 1000',
    '<%= config.bin %> <%= command.id %> orders-redis-6379 --follow',
  ];

  static override args = {
    node: Args.string({ description: 'HOST:PORT of a node, or the name of a container.', required: true }),
  };

  static override flags = {
    lines: Flags.integer({
      char: 'n',
      description: 'At most so many lines, from the end.',
      helpValue: 'N',
      default: 100,
      min: 1,
      max: LINES_MAX,
    }),
    since: Flags.string({
      description: 'Only what is not older: 30s, 10m, 2h, or a time such as 2026-01-31T12:00:00Z.',
      helpValue: 'WHEN',
    }),
    follow: Flags.boolean({
      char: 'f',
      description: 'Go on showing what comes.',
      default: false,
      exclusive: ['json'],
    }),
    ...settingsFlags,
  };

  async run(): Promise<LogsResult> {
    const { flags, args } = await this.parse(DeployLogs);
    if (flags.since !== undefined && !SINCE.test(flags.since)) {
      throw new ForgeError('usage', `--since ${flags.since} is neither a duration nor a time.`, {
        next: 'Write for example 10m, 2h or 2026-01-31T12:00:00Z.',
      });
    }
    const settings = await loadDeploySettings(await readSettings(flags));
    const place = await findLogs(settings, args.node, this.signal);
    const options = { lines: flags.lines, ...(flags.since === undefined ? {} : { since: flags.since }) };
    const show = ({ line }: LogLine) => this.output.data(printable(line));
    const { host, container } = place;
    if (flags.follow) {
      this.untilLeft = true;
      await followLogs(place, options, show, this.signal);
      return { host, container, lines: [] };
    }
    const lines = await readLogs(place, options);
    for (const line of lines) show(line);
    return { host, container, lines };
  }
}
