import path from 'node:path';
import { Args, type Interfaces } from '@oclif/core';
import { dryRunFlag, ForgeCommand, yesFlag } from '../base-command.js';
import type { SettingsWanted } from '../certs/from-settings.js';
import type { GenerateOptions, GenerateResult } from '../certs/generate.js';
import type { CertificateReport } from '../certs/judge.js';
import { CLIENT_DEFAULT, certificateFlags, FAIL_DAYS, WARN_DAYS, WITHIN_DAYS } from '../config/certificate-flags.js';
import { readSettings, settingsFlags } from '../config/cluster-flags.js';
import { requireKnownName } from '../config/resolve.js';
import type { InstallObserver } from '../deploy/certificates-install.js';
import { EXIT_CODES, ForgeError } from '../errors.js';
import { certificateTable, installTable, issueTable, type ShownInstall } from '../ui/certificates.js';
import { healthLines, verdictLine } from '../ui/cluster-health.js';
import { toForgeError } from '../ui/failure.js';

const MODES = ['renew', 'check', 'rotate-ca', 'switch-ca', 'retire-ca'] as const;
const STAGES = { all: 'everything', trust: 'the CAs that are trusted', pair: 'certificates with their keys' };

interface InstallResult {
  readonly directory: string;
  readonly status: 'unchanged' | 'planned' | 'done';
  readonly nodes: readonly ShownInstall[];
  /** With --dry-run: exactly what would be run, in its order. */
  readonly commands?: readonly { readonly host: string; readonly line: string }[];
  readonly elapsedMs: number;
}

export default class GenCerts extends ForgeCommand {
  static override summary = 'Make, renew, check and give out certificates for nodes, clients and the proxy.';
  static override description =
    `A CA of your own, one certificate for each node of forge.yaml and each --host, client certificates, and one for the proxy.
What is there is never overwritten without --force. All files of a run are written, or none.

--renew keeps the CA and the keys. --check changes nothing: exit code 0 when nothing fails, 9 otherwise (--strict: also for
a warning). --install gives what is in the folder to the nodes and proxies of forge.yaml, has them take it while they run, and
looks whether they show it; who does not take it keeps what it had. The CA is changed in three steps, after each of which comes
--install --all: --rotate-ca, --switch-ca, --retire-ca.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> certs',
    '<%= config.bin %> <%= command.id %> certs --host redis-1,10.0.0.1 --host redis-2,10.0.0.2 --client app',
    '<%= config.bin %> <%= command.id %> certs --renew --within 30',
    '<%= config.bin %> <%= command.id %> certs --check --warn-days 30 --nagios',
    '<%= config.bin %> <%= command.id %> certs --install --all',
    '<%= config.bin %> <%= command.id %> certs --rotate-ca',
  ];

  static override args = {
    directory: Args.string({ name: 'DIR', description: 'Folder of the certificates.', required: true }),
  };

  static override flags = {
    ...settingsFlags,
    ...yesFlag,
    ...dryRunFlag,
    ...certificateFlags,
  };

  async run(): Promise<GenerateResult | CertificateReport | InstallResult | object> {
    const { flags, args } = await this.parse(GenCerts);
    if (args.directory.trim() === '' || args.directory.includes('\0')) {
      throw new ForgeError('usage', 'The folder has no name.', { next: 'Give DIR, for example certs.' });
    }
    const directory = path.resolve(args.directory);
    if (flags.install) return this.#install(directory, flags);
    if (!flags.check) return this.#make(directory, flags);
    if (!flags.nagios) return this.#check(directory, flags);
    try {
      return await this.#check(directory, flags);
    } catch (error) {
      if (this.signal.aborted) throw error;
      const { nagiosOfCertificateFailure } = await import('../certs/nagios.js');
      const { line, exitCode } = nagiosOfCertificateFailure(toForgeError(error).message);
      this.output.data(line);
      process.exitCode = exitCode;
      return {};
    }
  }

  async #check(directory: string, flags: Flags): Promise<CertificateReport> {
    const { checkCertificates } = await import('../certs/check.js');
    const { wanted, clusterName } = await this.#settings(flags);
    const { nodes, serverName } = wanted;
    const limits = { warnDays: flags['warn-days'] ?? WARN_DAYS, failDays: flags['fail-days'] ?? FAIL_DAYS };
    const report = await checkCertificates(directory, { ...limits, nodes, serverName });
    const { verdict, certificates, findings } = report;
    if (flags.textfile !== undefined) await this.#tell(flags.textfile, clusterName, certificates);
    if (flags.nagios) {
      const { nagiosOfCertificates } = await import('../certs/nagios.js');
      const { line, exitCode } = nagiosOfCertificates(report, limits);
      this.output.data(line);
      process.exitCode = exitCode;
      return report;
    }
    const { colors } = this.output;
    const shown = flags.quiet ? certificates.filter((each) => each.verdict !== 'PASS') : certificates;
    const every = [...certificates, ...findings];
    if (shown.length > 0) this.output.data(`${certificateTable(shown, colors)}\n`);
    for (const line of healthLines(every, colors, { passing: false })) this.output.data(line);
    this.output.data(verdictLine(verdict, every, colors));
    const bad = verdict === 'FAIL' || (flags.strict && verdict === 'WARN');
    process.exitCode = bad ? EXIT_CODES.verification : EXIT_CODES.done;
    return report;
  }

  async #tell(target: string, cluster: string | undefined, certificates: CertificateReport['certificates']) {
    if (cluster === undefined) {
      throw new ForgeError('usage', '--textfile: of which cluster are these certificates?', {
        next: 'Run it where forge.yaml is, or name that file: --config FILE.',
      });
    }
    const { writeCertificateTextfile } = await import('../monitoring/certificate-textfile.js');
    const file = await writeCertificateTextfile(path.resolve(target), cluster, certificates);
    this.output.message(`Written for the node exporter: ${file}`);
  }

  async #install(directory: string, flags: Flags): Promise<InstallResult> {
    const started = performance.now();
    const [{ prepareInstall }, { carryOutInstall }, { recoverParties }, { loadDeploySettings }] = await Promise.all([
      import('../deploy/certificates-prepare.js'),
      import('../deploy/certificates-install.js'),
      import('../deploy/certificates-parties.js'),
      import('../config/deploy-settings-load.js'),
    ]);
    const settings = await readSettings(flags);
    const wanted = await loadDeploySettings(settings);
    requireSameFolder(directory, wanted.redis.tls?.directory);
    const options = {
      settings: wanted,
      directory,
      choice: { hosts: flags.host ?? [], nodes: flags.node ?? [], all: flags.all ?? false },
      environment: settings.environment,
      serverName: settings.cluster?.tls?.server_name,
      signal: this.signal,
    };
    const prepared = await prepareInstall(options, async (parties) =>
      flags['dry-run']
        ? false
        : recoverParties(parties, {
            begun: () =>
              this.output.message('An earlier deployment was ended halfway: what it left is put right first.'),
            command: ({ line }) => this.output.message(`  ${line}`),
          }),
    );
    const { rows, stages, absent, remarks, commands } = prepared;
    this.output.data(`${installTable(rows, this.output.colors)}\n`);
    for (const remark of remarks) this.output.warning(remark);
    const result = (status: InstallResult['status'], more: Partial<InstallResult> = {}): InstallResult => ({
      ...{ directory, status, nodes: rows, ...more },
      elapsedMs: Math.round(performance.now() - started),
    });
    if (flags['dry-run']) {
      for (const { line } of commands) this.output.data(line);
      this.output.message('Dry run: nothing was changed.');
      return result('planned', { commands });
    }
    if (stages.length > 0) {
      const changed = rows.filter(({ action }) => action === 'install' || action === 'tell');
      await this.confirm(`Give certificates to ${changed.length} of ${rows.length}?`);
      const words = { begun: '→', done: '✔', failed: '✖' };
      const observer: InstallObserver = {
        stage: (stage, index, count) => {
          if (count > 1) this.output.message(`Step ${index + 1} of ${count}: ${STAGES[stage]}`);
        },
        party: (name, state) => this.output.message(`${words[state]} ${name}`),
      };
      const unseen = await carryOutInstall(prepared, { observer, signal: this.signal });
      for (const { node, what, host, port } of unseen) {
        this.output.warning(
          `${node}: the port of its ${what} (${host}:${port}) cannot be reached from here to look at it.`,
        );
      }
    }
    requireNobodyLeft(absent, stages.length > 0, directory);
    if (stages.length === 0) this.output.message('Nothing is to be done.');
    else this.output.data(`Taken in ${((performance.now() - started) / 1_000).toFixed(1)} s.`);
    return result(stages.length === 0 ? 'unchanged' : 'done');
  }

  async #make(directory: string, flags: Flags): Promise<GenerateResult> {
    const [{ generateOptions }, { wanted, clusterName, environment }] = await Promise.all([
      import('../certs/request.js'),
      this.#settings(flags),
    ]);
    const mode = MODES.find((each) => flags[each]);
    if (flags['new-keys'] && mode !== 'renew' && mode !== 'switch-ca') {
      throw new ForgeError('usage', '--new-keys goes with --renew or --switch-ca.', { next: 'Add one of them.' });
    }
    const { options, unknown } = await generateOptions({
      directory,
      fromSettings: wanted,
      environment,
      hosts: flags.host ?? [],
      // A client that nobody asks for is made once; later there are those that there are.
      clients: flags.client ?? (mode === undefined ? [CLIENT_DEFAULT] : []),
      proxyNames: flags['proxy-name'] ?? [],
      resolve: flags.resolve,
      bits: flags.bits,
      days: flags.days,
      caDays: flags['ca-days'],
      caName: flags['ca-name'] ?? (clusterName === undefined ? 'RedisForge CA' : `${clusterName} CA`),
      caKeyFile: flags['ca-key-file'],
      passphraseFile: flags['ca-passphrase-file'],
      dryRun: flags['dry-run'],
      signal: this.signal,
    });
    for (const name of unknown) {
      this.output.warning(
        `${name} has no address in DNS: its certificate is for the name only (--no-resolve to not ask).`,
      );
    }
    const result = await this.#carryOut(mode, options, flags);
    this.#show(result);
    return result;
  }

  async #carryOut(mode: Mode | undefined, options: GenerateOptions, flags: Flags): Promise<GenerateResult> {
    const { createCertificates, renewCertificates } = await import('../certs/generate.js');
    const newKeys = flags['new-keys'];
    if (mode === undefined) return createCertificates({ ...options, force: flags.force });
    if (mode === 'renew') return renewCertificates({ ...options, withinDays: flags.within ?? WITHIN_DAYS, newKeys });
    const { rotateAuthority } = await import('../certs/rotate.js');
    const step = mode === 'rotate-ca' ? 'rotate' : mode === 'switch-ca' ? 'switch' : 'retire';
    if (!flags['dry-run'] && step !== 'rotate') {
      // Out of its turn, a step is refused before anything is asked.
      const { outcome } = await rotateAuthority({ ...options, step, newKeys, dryRun: true });
      if (outcome !== 'unchanged') await this.confirm(QUESTIONS[step]);
    }
    return rotateAuthority({ ...options, step, newKeys });
  }

  #show({ directory, outcome, dryRun, certificates, remarks, authority }: GenerateResult): void {
    const { colors } = this.output;
    const changed = certificates.filter(({ action }) => action !== 'kept').length;
    if (certificates.length > 0) this.output.data(`${issueTable(certificates, colors)}\n`);
    const ends = authority === null ? '' : ` The CA is valid until ${authority.expires.slice(0, 10)}.`;
    const would = dryRun ? 'Nothing was changed; this would be done. ' : '';
    const words: Record<GenerateResult['outcome'], string> = {
      created: `${changed} certificates and a CA in ${directory}.`,
      renewed: `${changed} of ${certificates.length} certificates made anew in ${directory}.`,
      unchanged: `Nothing to do in ${directory}.`,
      finished: `${directory} is whole again.`,
      announced: `A next CA in ${directory}.`,
      switched: `The next CA has signed ${changed} certificates in ${directory}.`,
      none: `One CA is trusted in ${directory}.`,
    };
    this.output.data(`${would}${words[outcome]}${ends}`);
    for (const remark of remarks) this.output.message(remark);
  }

  async #settings(
    flags: Flags,
  ): Promise<{ wanted: SettingsWanted; clusterName?: string; environment: NodeJS.ProcessEnv }> {
    const { wantedOfCluster } = await import('../certs/from-settings.js');
    const settings = await readSettings(flags);
    requireKnownName(settings);
    return {
      wanted: wantedOfCluster(settings.cluster),
      clusterName: settings.cluster?.name,
      environment: settings.environment,
    };
  }
}

type Mode = (typeof MODES)[number];
type Flags = Interfaces.InferredFlags<typeof GenCerts.flags & typeof ForgeCommand.baseFlags>;

const QUESTIONS = {
  switch: 'Do all nodes, proxies and clients trust ca-bundle.crt already? Whoever does not is cut off from now on.',
  retire: 'Do all nodes, proxies and clients have their new certificates? Whoever does not is cut off from now on.',
};

/** What a deployment would take from elsewhere would be undone by the next one. */
function requireSameFolder(directory: string, deployed: string | undefined): void {
  if (deployed === directory) return;
  if (deployed === undefined) {
    throw new ForgeError('configuration', 'Nothing of forge.yaml is deployed with TLS.', {
      next: 'Say it in forge.yaml: redis.tls.directory; then forge deploy redis --all.',
    });
  }
  throw new ForgeError(
    'configuration',
    `The nodes of forge.yaml have certificates of ${deployed}, not of ${directory}.`,
    {
      next: `forge gen-certs ${deployed} --install; or name the other folder in forge.yaml: redis.tls.directory.`,
    },
  );
}

/** @throws ForgeError for nodes that no container of ours runs: their certificates would expire unnoticed */
function requireNobodyLeft(absent: readonly string[], changed: boolean, directory: string): void {
  if (absent.length === 0) return;
  throw new ForgeError(changed ? 'partial' : 'missing', `Not run by forge deploy redis: ${absent.join(', ')}.`, {
    host: absent.join(', '),
    next: [
      'Make them: forge deploy redis.',
      `What runs otherwise gets its files by hand: ${directory}/nodes/HOST/server.crt, server.key and ${directory}/ca-bundle.crt; then CONFIG SET tls-cert-file … tls-key-file … tls-ca-cert-file …, all in one command.`,
    ],
  });
}
