import path from 'node:path';
import { Args, Flags } from '@oclif/core';
import { dryRunFlag, ForgeCommand } from '../base-command.js';
import { parseDuration } from '../config/duration.js';
import { EXIT_CODES, ForgeError } from '../errors.js';
import { type RotateResult, rotateLogs } from '../logs/rotate.js';
import { bytesText } from '../ui/cluster-status.js';
import { renderTable } from '../ui/table.js';

const MIB = 1024 * 1024;
const SIZE_MAX_MB = 1024 * 1024;
const COUNT_MAX = 999;
const AGE_MIN_MS = 60_000;
const AGE_MAX_MS = 3_650 * 24 * 3_600_000;

export default class RotateLogs extends ForgeCommand {
  static override summary = 'Rotate the logs of a folder: by size or age, compressed, so many kept.';
  static override description =
    `A log that is due becomes NAME.1.gz, the one before NAME.2.gz, and so on; what is beyond COUNT is removed. Modes and
owners stay. Nothing is lost while Redis writes; a proxy opens its log anew; for other programs the log is copied and emptied.
Symbolic links, hard links and files of other names are not touched. Ended at any moment, the next run finishes.
Exit codes: 0 done, 2 wrong arguments, 6 another run is at work there, 8 some of it is left for the next run, 11 no right.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> /var/log/redis 1024 7',
    '<%= config.bin %> <%= command.id %> /var/log/redis 100 14 --age 24h',
    '<%= config.bin %> <%= command.id %> /var/log/redisforge 50 5 --pattern "*.log" --pattern "*.jsonl" --dry-run',
  ];

  static override args = {
    directory: Args.string({ name: 'DIR', description: 'Folder of the logs.', required: true }),
    size: Args.string({ name: 'SIZE_MB', description: 'A log of so many MiB or more is rotated.', required: true }),
    count: Args.string({ name: 'COUNT', description: 'So many rotated logs stay.', required: true }),
  };

  static override flags = {
    ...dryRunFlag,
    age: Flags.string({
      description: 'Rotate a log with any content that was last rotated so long ago, too, for example 24h or 7d.',
      helpValue: 'DURATION',
    }),
    pattern: Flags.string({
      description: 'Names of logs, with * and ?; may be given several times.',
      default: ['*.log'],
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'NAMES',
    }),
  };

  async run(): Promise<RotateResult> {
    const { args, flags } = await this.parse(RotateLogs);
    const megabytes = Number(args.size);
    if (!/^[0-9]+(\.[0-9]+)?$/.test(args.size) || megabytes <= 0 || megabytes > SIZE_MAX_MB) {
      throw new ForgeError('usage', `SIZE_MB ${args.size}: this is no size.`, { next: 'Write MiB, for example 100.' });
    }
    const count = Number(args.count);
    if (!/^[0-9]{1,3}$/.test(args.count) || count < 1) {
      throw new ForgeError('usage', `COUNT ${args.count}: this is no number of logs.`, {
        next: `Take one from 1 to ${COUNT_MAX}.`,
      });
    }
    const bounds = { minMs: AGE_MIN_MS, maxMs: AGE_MAX_MS };
    const result = await rotateLogs(
      {
        directory: path.resolve(args.directory),
        bytes: Math.max(1, Math.round(megabytes * MIB)),
        ...(flags.age === undefined ? {} : { ageMs: parseDuration(flags.age, bounds) }),
        count,
        patterns: flags.pattern,
        dryRun: flags['dry-run'],
      },
      this.signal,
    );
    this.#show(result);
    if (result.logs.some(({ left }) => left !== undefined)) process.exitCode = EXIT_CODES.partial;
    return result;
  }

  #show({ directory, dryRun, logs, bytesBefore, bytesAfter }: RotateResult): void {
    if (logs.length === 0) this.output.warning(`There is no log in ${directory}: nothing to rotate.`);
    const rows = logs.flatMap(({ log, bytes, steps }) => steps.map((step) => [log, bytesText(bytes), step]));
    if (rows.length > 0) {
      this.output.data(renderTable(['LOG', { title: 'SIZE', align: 'right' }, dryRun ? 'WOULD' : 'DONE'], rows));
    }
    for (const { log, left } of logs) if (left !== undefined) this.output.warning(`${log}: ${left}`);
    const rotated = logs.filter((each) => each.rotated).length;
    const saved = dryRun ? '' : `; ${bytesText(bytesBefore)} before, ${bytesText(bytesAfter)} now`;
    this.output.data(`${rotated} of ${logs.length} logs ${dryRun ? 'would be rotated' : 'rotated'}${saved}.`);
  }
}
