import { Flags } from '@oclif/core';
import { dryRunFlag, ForgeCommand, yesFlag } from '../../base-command.js';
import { readSettings } from '../../config/cluster-flags.js';
import { hostFlags } from '../../config/host-flags.js';
import { EXIT_CODES, ForgeError } from '../../errors.js';
import { chooseHosts } from '../../host/choose.js';
import type { HostToCheck } from '../../host/look.js';
import { shellQuote } from '../../host/shell.js';
import { changeLines, type Impossible, type TuneChange } from '../../host/tune/change.js';
import type { TunePlan } from '../../host/tune/plan.js';
import {
  type AppliedStep,
  applyTune,
  applyUndo,
  prepareTune,
  prepareUndo,
  type TuneOptions,
  type Tuning,
} from '../../host/tune/tune.js';
import { type UndoPlan, type UndoStep, undoLines } from '../../host/tune/undo.js';
import { printable } from '../../ui/printable.js';

interface TunedHost {
  readonly host: string;
  /** What is changed, or with --undo restored. */
  readonly changes: readonly (TuneChange | UndoStep)[];
  readonly impossible: readonly Impossible[];
  readonly remarks: readonly string[];
  /** With --undo: what somebody changed since, and was left. */
  readonly left: readonly Impossible[];
  readonly applied: readonly string[];
}

interface TuneResult {
  readonly dryRun: boolean;
  readonly undo: boolean;
  readonly hosts: readonly TunedHost[];
}

export default class HostTune extends ForgeCommand {
  static override summary = 'Set what a host is to be for Redis: kernel, huge pages, limit on open files.';
  static override description =
    `Changes only what forge host check would warn of, now and for every start, and writes down what was there before.
--dry-run shows every file and every command. --undo restores exactly what was there, but for what somebody changed since.
Needs root. Run again, it does nothing. Exit code 8: something could not be set here, the rest is.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --dry-run',
    'sudo <%= config.bin %> <%= command.id %> --yes',
    '<%= config.bin %> <%= command.id %> --all --sudo',
    'sudo <%= config.bin %> <%= command.id %> --undo',
    '<%= config.bin %> <%= command.id %> --root /mnt/image',
  ];

  static override flags = {
    ...hostFlags,
    undo: Flags.boolean({ description: 'Restore what was there before.', default: false }),
    root: Flags.string({
      description: 'Folder of a system that does not run (an image): only its files are written.',
      helpValue: 'DIR',
    }),
    ...yesFlag,
    ...dryRunFlag,
  };

  async run(): Promise<TuneResult> {
    const { flags } = await this.parse(HostTune);
    if (flags.root !== undefined && !/^\/./.test(flags.root)) {
      throw new ForgeError('usage', '--root takes the absolute path of a folder that is not /.');
    }
    const { cluster } = await readSettings(flags);
    const hosts = chooseHosts(flags, cluster);
    const options = { sudo: flags.sudo, root: flags.root, signal: this.signal };
    const result = flags.undo
      ? await this.#undo(hosts, options, flags['dry-run'])
      : await this.#tune(hosts, options, flags['dry-run']);
    if (result.some(({ impossible }) => impossible.length > 0)) process.exitCode = EXIT_CODES.partial;
    return { dryRun: flags['dry-run'], undo: flags.undo, hosts: result };
  }

  async #tune(hosts: readonly HostToCheck[], options: TuneOptions, dryRun: boolean): Promise<TunedHost[]> {
    const prepared: Tuning<TunePlan>[] = [];
    for (const host of hosts) prepared.push(await prepareTune(host, options));
    for (const { plan } of prepared) this.#showPlan(plan, options.root);
    const changing = prepared.filter(({ plan }) => plan.changes.length > 0);
    const applied = await this.#apply(changing, dryRun, 'Change', applyTune);
    return prepared.map(({ plan: { host, ...plan } }, index) => ({
      host,
      ...plan,
      left: [],
      applied: applied.get(prepared[index]) ?? [],
    }));
  }

  async #undo(hosts: readonly HostToCheck[], options: TuneOptions, dryRun: boolean): Promise<TunedHost[]> {
    const prepared: Tuning<UndoPlan>[] = [];
    for (const host of hosts) {
      const undo = await prepareUndo(host, options);
      if (undo === undefined)
        this.output.data(`${printable(host.target.name)}: nothing was changed by forge host tune.`);
      else prepared.push(undo);
    }
    for (const { plan } of prepared) this.#showUndo(plan, options.root);
    const applied = await this.#apply(prepared, dryRun, 'Restore', applyUndo);
    return prepared.map(({ plan: { host, steps, left } }, index) => ({
      host,
      changes: steps,
      impossible: [],
      remarks: [],
      left,
      applied: applied.get(prepared[index]) ?? [],
    }));
  }

  /** One question for all hosts; a host whose turn fails ends the work, and those before it are done. */
  async #apply<Plan extends { readonly host: string }>(
    tunings: readonly Tuning<Plan>[],
    dryRun: boolean,
    verb: string,
    apply: (tuning: Tuning<Plan>, command: string) => Promise<AppliedStep[]>,
  ): Promise<Map<Tuning<Plan> | undefined, readonly string[]>> {
    const applied = new Map<Tuning<Plan> | undefined, readonly string[]>();
    if (dryRun || tunings.length === 0) return applied;
    await this.confirm(`${verb} this on ${tunings.map(({ plan }) => plan.host).join(', ')}?`);
    for (const tuning of tunings) {
      const done = await apply(tuning, this.#command());
      applied.set(
        tuning,
        done.map(({ what }) => what),
      );
      for (const { host, what } of done) this.output.message(`${printable(host)}: ${what}`);
    }
    this.output.data(verb === 'Change' ? 'Done. forge host tune --undo takes it back.' : 'Done.');
    return applied;
  }

  /** This very command, to be typed again. */
  #command(): string {
    const rest = this.argv.filter((word) => !['--yes', '-y', '--undo', '--dry-run'].includes(word));
    return [this.program, 'host', 'tune', ...rest.map(shellQuote)].join(' ');
  }

  #showPlan({ host, changes, impossible, remarks }: TunePlan, root = ''): void {
    const { colors } = this.output;
    this.output.data(colors.bold(printable(host)));
    if (changes.length === 0) this.output.data('  Nothing to change.');
    for (const change of changes) {
      this.output.data(`  ${colors.dim(`# ${change.why}`)}`);
      for (const line of changeLines(change, root)) this.output.data(`  ${printable(line)}`);
    }
    for (const { name, why } of impossible)
      this.output.data(`  ${colors.yellow('cannot')} ${printable(`${name}: ${why}`)}`);
    for (const remark of remarks) this.output.data(`  ${colors.cyan('→')} ${printable(remark)}`);
    this.output.data();
  }

  #showUndo({ host, steps, left }: UndoPlan, root = ''): void {
    const { colors } = this.output;
    this.output.data(colors.bold(printable(host)));
    if (steps.length === 0) this.output.data('  Nothing to restore.');
    for (const step of steps) for (const line of undoLines(step, root)) this.output.data(`  ${printable(line)}`);
    for (const { name, why } of left) this.output.data(`  ${colors.yellow('left')} ${printable(`${name}: ${why}`)}`);
    this.output.data();
  }
}
