import { Flags } from '@oclif/core';
import { ForgeCommand } from '../../base-command.js';
import { readSettings } from '../../config/cluster-flags.js';
import { hostFlags } from '../../config/host-flags.js';
import { EXIT_CODES, ForgeError } from '../../errors.js';
import { chooseHosts } from '../../host/choose.js';
import { type HostVerdict, worstHostVerdict } from '../../host/finding.js';
import { type CheckedHost, checkHosts } from '../../host/look.js';
import { nagiosOfHosts } from '../../host/nagios.js';
import { hostLines, hostVerdictLine, paintHostVerdict } from '../../ui/host-check.js';
import { printable } from '../../ui/printable.js';

interface HostCheckResult {
  readonly verdict: HostVerdict;
  readonly hosts: readonly CheckedHost[];
}

export default class HostCheckCommand extends ForgeCommand {
  static override summary = 'Check a host: kernel settings, limits, clock, disk, memory.';
  static override description =
    `Looks at this machine, or at others over SSH, and says of every setting that matters to Redis
what it is, what it should be, why, and how to mend it. Reads only; with --measure it writes one small file and removes it.
Exit code 0: nothing fails (warnings are shown); 9: something fails, or one of several hosts cannot be looked at; 4 or 11:
none can. With --strict, a warning is 9, too. With --nagios: one line, and the codes of its plugins.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --host ops@10.0.0.1 --host ops@10.0.0.2 --maxmemory 3gb',
    '<%= config.bin %> <%= command.id %> --all --strict --json',
    '<%= config.bin %> <%= command.id %> --data /srv/redis --measure',
  ];

  static override flags = {
    ...hostFlags,
    data: Flags.string({
      description: "Folder that data is in, on the host; forge.yaml's, else docker's, when not told. May be repeated.",
      helpValue: 'DIR',
      multiple: true,
      multipleNonGreedy: true,
    }),
    measure: Flags.boolean({
      description: 'Measure how long a write takes until it is on the disk: 32 writes of 4 KiB.',
      default: false,
    }),
    strict: Flags.boolean({ description: 'Exit with 9 on a warning, too.', default: false }),
    nagios: Flags.boolean({
      description: 'One line for Nagios, and its exit codes.',
      default: false,
      exclusive: ['json', 'strict'],
    }),
  };

  async run(): Promise<HostCheckResult> {
    const { flags } = await this.parse(HostCheckCommand);
    const { cluster } = await readSettings(flags);
    const chosen = chooseHosts(flags, cluster);
    const hosts = await checkHosts(chosen, { measure: flags.measure, sudo: flags.sudo, signal: this.signal });
    const verdict = worstHostVerdict(hosts.map(({ health }) => health?.verdict ?? 'FAIL'));
    if (flags.nagios) {
      const { line, exitCode } = nagiosOfHosts(hosts, verdict);
      this.output.data(printable(line));
      process.exitCode = exitCode;
      return { verdict, hosts };
    }
    refuseWhereNoneAnswers(hosts);
    this.#show(hosts, flags.quiet);
    const bad = verdict === 'FAIL' || (flags.strict && verdict === 'WARN');
    process.exitCode = bad ? EXIT_CODES.verification : EXIT_CODES.done;
    return { verdict, hosts };
  }

  #show(hosts: readonly CheckedHost[], quiet: boolean): void {
    const { colors } = this.output;
    for (const { host, system, health, failure } of hosts) {
      this.output.data(colors.bold(printable(system === undefined ? host : `${host}  ${system}`)));
      if (failure !== undefined) {
        this.output.data(`${paintHostVerdict('FAIL', colors)}  ${printable(failure.message)}`);
        for (const next of failure.next) this.output.data(`      ${colors.cyan('→')} ${printable(next)}`);
      }
      for (const line of hostLines(health?.findings ?? [], colors, { passing: !quiet })) this.output.data(line);
      this.output.data();
    }
    const silent = hosts.filter(({ failure }) => failure !== undefined).length;
    const findings = hosts.flatMap(({ health }) => health?.findings ?? []);
    if (silent > 0) {
      this.output.data(`${paintHostVerdict('FAIL', colors)}: ${silent} of ${hosts.length} hosts cannot be looked at`);
    }
    this.output.data(hostVerdictLine(findings, colors));
  }
}

/** With one host the reason is the command's own; of several, the first one's kind stands for all. */
function refuseWhereNoneAnswers(hosts: readonly CheckedHost[]): void {
  const failures = hosts.flatMap(({ failure }) => (failure === undefined ? [] : [failure]));
  const [first] = failures;
  if (first === undefined || failures.length < hosts.length) return;
  throw new ForgeError(first.kind, failures.map(({ message }) => message).join('\n'), {
    host: hosts[0]?.host,
    next: [...new Set(failures.flatMap(({ next }) => next))],
  });
}
