import path from 'node:path';
import { Args, Flags } from '@oclif/core';
import { dryRunFlag, ForgeCommand } from '../base-command.js';
import { readSettings, type SettingsFlagValues, settingsFlags } from '../config/cluster-flags.js';
import { parseDuration } from '../config/duration.js';
import { LOG_AGE_BOUNDS, LOG_COUNT_MAX } from '../config/logs-schema.js';
import { EXIT_CODES, ForgeError } from '../errors.js';
import { chooseHosts } from '../host/choose.js';
import type { ClusterHosts } from '../host/hosts-of.js';
import type { HostTarget } from '../host/target.js';
import { assignLogs, type HostLogs, type RotatedHost, rotateOnHosts, worstOf } from '../logs/hosts.js';
import { type RotateRequest, type RotateResult, rotateLogs } from '../logs/rotate.js';
import { bytesText } from '../ui/cluster-status.js';
import { printable } from '../ui/printable.js';
import { renderTable } from '../ui/table.js';

const MIB = 1024 * 1024;
const SIZE_MAX_MB = 1024 * 1024;

type Folder = Omit<RotateRequest, 'dryRun'>;
interface HostsFlags extends SettingsFlagValues {
  readonly host?: string[];
  readonly all: boolean;
  readonly sudo: boolean;
  readonly 'dry-run': boolean;
}
type Hosts = { readonly dryRun: boolean; readonly hosts: readonly RotatedHost[] };

export default class RotateLogs extends ForgeCommand {
  static override summary =
    'Rotate the logs of a folder, here or on all hosts: by size or age, compressed, so many kept.';
  static override description =
    `A log that is due becomes NAME.1.gz, the one before NAME.2.gz, and so on; what is beyond COUNT is removed. Modes and
owners stay. Nothing is lost while Redis writes; a proxy opens its log anew; for other programs the log is copied and emptied.
Symbolic links, hard links and files of other names are not touched. Ended at any moment, the next run finishes.
With --all or --host it works on hosts over SSH, where forge need not be installed; without DIR, on the folders that logs of
forge.yaml names. Exit codes: 0 done, 2 wrong arguments, 3 forge.yaml is wrong, 4 no host can be reached, 6 another run is at
work there, 8 some of it is left for the next run, or one of several hosts failed, 11 no right.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> /var/log/redis 1024 7',
    '<%= config.bin %> <%= command.id %> /var/log/redis 100 14 --age 24h',
    '<%= config.bin %> <%= command.id %> /var/log/redisforge 50 5 --pattern "*.log" --pattern "*.jsonl" --dry-run',
    '<%= config.bin %> <%= command.id %> --all --dry-run',
    '<%= config.bin %> <%= command.id %> /var/log/redis 1024 7 --host ops@10.0.0.1 --host ops@10.0.0.2 --sudo',
  ];

  static override args = {
    directory: Args.string({ name: 'DIR', description: 'Folder of the logs; absolute with --all or --host.' }),
    size: Args.string({ name: 'SIZE_MB', description: 'A log of so many MiB or more is rotated.' }),
    count: Args.string({ name: 'COUNT', description: 'So many rotated logs stay.' }),
  };

  static override flags = {
    ...dryRunFlag,
    age: Flags.string({
      description: 'Rotate a log with any content that was last rotated so long ago, too, for example 24h or 7d.',
      helpValue: 'DURATION',
      dependsOn: ['directory'],
    }),
    pattern: Flags.string({
      description: 'Names of logs, with * and ?; *.log when not told. May be repeated.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'NAMES',
    }),
    host: Flags.string({
      description:
        'A host: HOST, USER@HOST or ssh://USER@HOST:PORT, over SSH; local for this machine. May be repeated.',
      helpValue: 'HOST',
      multiple: true,
      multipleNonGreedy: true,
    }),
    all: Flags.boolean({ description: 'Every host of forge.yaml.', default: false, exclusive: ['host'] }),
    sudo: Flags.boolean({ description: 'Work on the hosts as root, by sudo without a password.', default: false }),
    ...settingsFlags,
  };

  async run(): Promise<RotateResult | Hosts> {
    const { args, flags } = await this.parse(RotateLogs);
    const folder = this.#folder(args, flags);
    const dryRun = flags['dry-run'];
    if (flags.all || flags.host !== undefined) return await this.#onHosts(folder, flags);
    if (folder === undefined || flags.sudo) {
      throw new ForgeError('usage', folder === undefined ? 'DIR is missing.' : '--sudo is for --all and --host.', {
        next: 'Name a folder, a size and a count; or hosts with --all or --host.',
      });
    }
    const result = await rotateLogs({ ...folder, directory: path.resolve(folder.directory), dryRun }, this.signal);
    this.#show(result);
    if (result.logs.some(({ left }) => left !== undefined)) process.exitCode = EXIT_CODES.partial;
    return result;
  }

  #folder(
    args: { readonly directory?: string; readonly size?: string; readonly count?: string },
    flags: { readonly age?: string; readonly pattern?: readonly string[] },
  ): Folder | undefined {
    const { directory, size, count: countText } = args;
    if (directory === undefined) {
      if (flags.age === undefined && flags.pattern === undefined) return undefined;
      throw new ForgeError('usage', '--age and --pattern are for a DIR.', {
        next: 'Name a folder, a size and a count, or write age and patterns to logs of forge.yaml.',
      });
    }
    const megabytes = Number(size);
    if (!/^[0-9]+(\.[0-9]+)?$/.test(size ?? '') || megabytes <= 0 || megabytes > SIZE_MAX_MB) {
      throw new ForgeError('usage', `SIZE_MB ${size ?? 'is missing'}: this is no size.`, {
        next: 'Write MiB, for example 100.',
      });
    }
    const count = Number(countText);
    if (!/^[0-9]{1,3}$/.test(countText ?? '') || count < 1) {
      throw new ForgeError('usage', `COUNT ${countText ?? 'is missing'}: this is no number of logs.`, {
        next: `Take one from 1 to ${LOG_COUNT_MAX}.`,
      });
    }
    return {
      directory,
      bytes: Math.max(1, Math.round(megabytes * MIB)),
      ...(flags.age === undefined ? {} : { ageMs: parseDuration(flags.age, LOG_AGE_BOUNDS) }),
      count,
      patterns: flags.pattern ?? ['*.log'],
    };
  }

  async #onHosts(folder: Folder | undefined, flags: HostsFlags): Promise<Hosts> {
    if (folder !== undefined && !path.isAbsolute(folder.directory)) {
      throw new ForgeError('usage', `${folder.directory} is no absolute folder.`, {
        next: 'On other hosts it has to be one.',
      });
    }
    const { cluster } = await readSettings(flags);
    const known = cluster === undefined ? [] : hostsOfCluster(cluster);
    const targets = flags.all ? known : targetsOf(chooseHosts({ host: flags.host }, cluster && withEngines(cluster)));
    if (targets.length === 0) {
      throw new ForgeError('usage', '--all: forge.yaml lists no hosts.', {
        next: 'Name hosts with --host, or the file with --config.',
      });
    }
    let work: HostLogs[];
    if (folder !== undefined) work = targets.map((target) => ({ target, folders: [folder] }));
    else if (cluster?.logs === undefined) {
      throw new ForgeError('configuration', 'Nothing says which logs are rotated.', {
        next: 'Write logs to forge.yaml, or name a folder, a size and a count.',
      });
    } else work = assignLogs(cluster.logs, targets, [...known, ...targets]);
    const idle = flags.all ? undefined : work.find(({ folders }) => folders.length === 0);
    if (idle !== undefined) {
      throw new ForgeError('usage', `logs of forge.yaml name no folder on ${idle.target.name}.`, {
        next: 'Add the host to one of them, or name a folder, a size and a count.',
      });
    }
    const dryRun = flags['dry-run'];
    const hosts = await rotateOnHosts(work, { dryRun, sudo: flags.sudo, signal: this.signal });
    for (const each of hosts) this.#showHost(each);
    const worst = worstOf(hosts);
    if (worst !== undefined) process.exitCode = EXIT_CODES[worst];
    return { dryRun, hosts };
  }

  #showHost({ host, folders, failure }: RotatedHost): void {
    const { colors } = this.output;
    this.output.data(colors.bold(printable(host)));
    if (failure !== undefined) this.#warn(host, failure.message, failure.next);
    else if (folders.length === 0) this.output.data('No folder is rotated here.');
    for (const { directory, result, failure: reason } of folders) {
      this.output.data(printable(directory));
      if (result !== undefined) this.#show(result);
      if (reason !== undefined) this.#warn(`${host} ${directory}`, reason.message, reason.next);
    }
    this.output.data();
  }

  #warn(where: string, message: string, next: readonly string[]): void {
    this.output.warning(printable(`${where}: ${[message, ...next].join(' ')}`));
  }

  #show({ directory, dryRun, logs, bytesBefore, bytesAfter }: RotateResult): void {
    if (logs.length === 0) this.output.warning(printable(`There is no log in ${directory}: nothing to rotate.`));
    const rows = logs.flatMap(({ log, bytes, steps }) =>
      steps.map((step) => [printable(log), bytesText(bytes), printable(step)]),
    );
    if (rows.length > 0) {
      this.output.data(renderTable(['LOG', { title: 'SIZE', align: 'right' }, dryRun ? 'WOULD' : 'DONE'], rows));
    }
    for (const { log, left } of logs) if (left !== undefined) this.output.warning(printable(`${log}: ${left}`));
    const rotated = logs.filter((each) => each.rotated).length;
    const saved = dryRun ? '' : `; ${bytesText(bytesBefore)} before, ${bytesText(bytesAfter)} now`;
    this.output.data(`${rotated} of ${logs.length} logs ${dryRun ? 'would be rotated' : 'rotated'}${saved}.`);
  }
}

const targetsOf = (hosts: readonly { readonly target: HostTarget }[]): HostTarget[] =>
  hosts.map(({ target }) => target);

/** Proxies and monitoring may run on hosts that no node is on. */
function withEngines(cluster: ClusterHosts): ClusterHosts {
  const more = Object.entries(cluster.hosts ?? {}).map(([name, { address }]) => ({
    host: address ?? name,
    port: 0,
    docker_host: name,
  }));
  return { ...cluster, nodes: [...cluster.nodes, ...more] };
}

function hostsOfCluster(cluster: ClusterHosts): HostTarget[] {
  const all = withEngines(cluster);
  return all.nodes.length === 0 ? [] : targetsOf(chooseHosts({ all: true }, all));
}
