import { Flags } from '@oclif/core';
import { dryRunFlag, ForgeCommand, yesFlag } from '../../base-command.js';
import { readSettings, settingsFlags } from '../../config/cluster-flags.js';
import { loadDeploySettings } from '../../config/deploy-settings-load.js';
import type { Deployment, ShownCommand } from '../../deploy/deployment.js';
import { wordsForClients } from '../../deploy/hand-over.js';
import { requireFree } from '../../deploy/obstacles.js';
import type { DeployAction } from '../../deploy/plan.js';
import { deployProxies, proxyDeployment } from '../../deploy/proxy-deployment.js';
import { requireNoOlderProxy } from '../../deploy/proxy-version.js';
import { type DeployRow, deployTable } from '../../ui/deploy-plan.js';

interface ProxyResult {
  readonly cluster: string;
  readonly status: 'unchanged' | 'planned' | 'done';
  readonly proxies: readonly DeployRow[];
  /** With --dry-run: exactly what would be run, in its order. */
  readonly commands?: readonly ShownCommand[];
  readonly elapsedMs: number;
}

export default class DeployProxy extends ForgeCommand {
  static override summary =
    'Run the proxy in front of the cluster as a hardened container, and keep it as forge.yaml says.';
  static override description =
    `On every host of proxy.hosts. Another configuration, other passwords and certificates are taken while it runs; what needs
a new container is replaced, one proxy after the other. On the host's own network the new one takes over from the old one,
with its clients; when it does not come up, the old one serves on.
Exit codes: 0 as wanted, 3 a setting is wrong, 4 a host or a new container does not answer, 5 a name or a port is taken or the
image's proxy is older than the one that serves, 8 some hosts failed, 10 no Docker or no image, 11 no permission.`;
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --dry-run'];

  static override flags = {
    ...settingsFlags,
    ...yesFlag,
    ...dryRunFlag,
    host: Flags.string({
      description: 'A host of forge.yaml, by its name, instead of all of proxy.hosts. May be repeated.',
      helpValue: 'NAME',
      multiple: true,
      multipleNonGreedy: true,
    }),
    now: Flags.boolean({
      description:
        'Stop a proxy that is replaced before the new one starts, instead of having it hand over; also for an older one.',
    }),
    set: Flags.string({
      description: 'A setting over that of forge.yaml: proxy.workers=4. May be repeated.',
      helpValue: 'NAME=VALUE',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  async run(): Promise<ProxyResult> {
    const started = performance.now();
    const { flags } = await this.parse(DeployProxy);
    const settings = await readSettings(flags);
    const wanted = await loadDeploySettings(settings, flags.set ?? []);
    const { environment } = settings;
    const hosts = flags.host ?? wanted.proxy.hosts;
    const deployment = await proxyDeployment({
      settings: wanted,
      hosts,
      environment,
      handOver: !flags.now,
      signal: this.signal,
    });
    await deployment.look();
    const leftovers = await deployment.leftovers();
    if (leftovers.length > 0 && !flags['dry-run']) {
      this.output.message('An earlier deployment was ended halfway: what it left is put right first.');
      await deployment.recover(leftovers, { command: ({ line }) => this.output.message(`  ${line}`) });
    }
    const { actions, obstacles } = deployment.plan();
    requireFree(obstacles);
    const rows = actions.map((action) => rowOf(action, wordsForClients(action, !flags.now)));
    const changed = actions.filter(({ kind }) => kind !== 'unchanged');
    const result = (status: ProxyResult['status'], commands?: readonly ShownCommand[]): ProxyResult => ({
      cluster: wanted.cluster,
      status,
      proxies: rows,
      ...(commands === undefined ? {} : { commands }),
      elapsedMs: Math.round(performance.now() - started),
    });
    this.output.data(deployTable(rows, this.output.colors));
    if (flags['dry-run']) {
      const commands = actions.flatMap((action) => deployment.commands(action));
      for (const { line } of commands) this.output.data(line);
      this.output.message('Dry run: nothing was changed.');
      return result('planned', commands);
    }
    if (changed.length === 0) {
      this.output.message('Nothing is to be done.');
      return result('unchanged');
    }
    if (!flags.now) await requireNoOlderProxy(deployment, changed);
    await this.confirm(`Deploy ${changed.length} of ${rows.length} proxies of ${wanted.cluster}?`);
    await this.#carryOut(deployment, changed);
    const done = result('done');
    this.output.data(`Deployed in ${(done.elapsedMs / 1_000).toFixed(1)} s.`);
    return done;
  }

  /** Those that serve are replaced one after the other: clients always have another one. */
  async #carryOut(deployment: Deployment, actions: readonly DeployAction[]): Promise<void> {
    const words = { begun: '→', done: '✔', failed: '✖' };
    const observer = {
      action: ({ kind, desired }: DeployAction, state: keyof typeof words) =>
        this.output.message(`${words[state]} ${desired.options.name} on ${desired.host}: ${kind}`),
      warning: (text: string) => this.output.warning(text),
    };
    await deployProxies(deployment, actions, observer);
  }
}

function rowOf({ kind, desired, reasons }: DeployAction, clients: string | undefined): DeployRow {
  const all = clients === undefined ? reasons : [...reasons, clients];
  return { node: desired.options.name, host: desired.host, action: kind, rolling: kind === 'replace', reasons: all };
}
