import { Flags } from '@oclif/core';
import { ForgeCommand } from '../base-command.js';
import { targetOf } from '../cluster-command.js';
import { clusterFlags, readSettings } from '../config/cluster-flags.js';
import { diagnose } from '../doctor/doctor.js';
import { DOCTOR_CHECKS, type DoctorCheck, type DoctorFinding, worstFinding } from '../doctor/finding.js';
import { EXIT_CODES, ForgeError } from '../errors.js';
import type { HostVerdict } from '../host/finding.js';
import { diagnosisLines } from '../ui/doctor.js';
import { hostVerdictLine } from '../ui/host-check.js';

interface DoctorResult {
  readonly verdict: HostVerdict;
  readonly findings: readonly DoctorFinding[];
}

export default class Doctor extends ForgeCommand {
  static override summary = 'Run every check there is, and say what to do.';
  static override description =
    `Looks at the programs of this machine, at forge.yaml and .env, Docker, every host, every node with its
bus port, clock and certificate, the cluster as a whole, the proxy, and operations that are unfinished: all at once, within
10 seconds. Without a cluster, at this machine. Changes nothing.
Exit code 0: nothing fails (warnings are shown); 9: something fails. With --strict, a warning is 9, too.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --seed 10.0.0.1:6379 --quiet',
    '<%= config.bin %> <%= command.id %> --only docker,hosts,clocks --json',
    '<%= config.bin %> <%= command.id %> --name local --strict',
  ];

  static override flags = {
    ...clusterFlags,
    only: Flags.string({
      description: `Only these checks, separated by commas: ${DOCTOR_CHECKS.join(', ')}.`,
      helpValue: 'CHECK',
    }),
    sudo: Flags.boolean({ description: 'Look at hosts as root, by sudo without a password.', default: false }),
    strict: Flags.boolean({ description: 'Exit with 9 on a warning, too.', default: false }),
  };

  async run(): Promise<DoctorResult> {
    const { flags } = await this.parse(Doctor);
    const findings = await diagnose({
      flags,
      settings: () => readSettings(flags),
      target: (settings) => targetOf(flags, settings),
      only: chosen(flags.only),
      sudo: flags.sudo,
      signal: this.signal,
    });
    const verdict = worstFinding(findings);
    const { colors } = this.output;
    for (const line of diagnosisLines(findings, colors, { passing: !flags.quiet })) this.output.data(line);
    this.output.data(hostVerdictLine(findings, colors));
    const bad = verdict === 'FAIL' || (flags.strict && verdict === 'WARN');
    process.exitCode = bad ? EXIT_CODES.verification : EXIT_CODES.done;
    return { verdict, findings };
  }
}

/** @throws ForgeError `usage` for a check that there is not */
function chosen(text: string | undefined): DoctorCheck[] | undefined {
  if (text === undefined) return undefined;
  const words = text
    .split(',')
    .map((word) => word.trim())
    .filter(Boolean);
  const known = DOCTOR_CHECKS.filter((check) => words.includes(check));
  const unknown = words.find((word) => !(DOCTOR_CHECKS as readonly string[]).includes(word));
  if (unknown === undefined && known.length > 0) return known;
  throw new ForgeError('usage', unknown === undefined ? '--only names no check.' : `There is no check ${unknown}.`, {
    next: `There are: ${DOCTOR_CHECKS.join(', ')}.`,
  });
}
