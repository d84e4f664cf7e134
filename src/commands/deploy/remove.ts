import { Args, Flags } from '@oclif/core';
import { dryRunFlag, ForgeCommand, yesFlag } from '../../base-command.js';
import { readSettings, settingsFlags } from '../../config/cluster-flags.js';
import { deployChoiceFlags } from '../../config/deploy-choice.js';
import { readUserPasswords } from '../../config/deploy-secrets.js';
import type { DeploySettings } from '../../config/deploy-settings.js';
import { loadDeploySettings } from '../../config/deploy-settings-load.js';
import type { ShownCommand } from '../../deploy/deployment.js';
import { lookingDeployment } from '../../deploy/logs.js';
import type { RedisLogin } from '../../deploy/redis-cli.js';
import { chooseDeployNodes } from '../../deploy/redis-deployment.js';
import {
  askRemoval,
  carryOutRemoval,
  type HostRemoval,
  keptFolders,
  planRemoval,
  shownCommands,
} from '../../deploy/remove.js';
import { ForgeError } from '../../errors.js';
import { renderTable } from '../../ui/table.js';

/** A deployed cluster is stopped node by node; each may take its minute. */
const CLEAN_UP_MS = 60_000;

interface RemovedHost {
  readonly host: string;
  readonly containers: readonly string[];
  readonly volumes: readonly string[];
  /** Volumes with data that stay. */
  readonly kept: readonly string[];
}

interface RemoveResult {
  readonly cluster: string;
  readonly status: 'unchanged' | 'planned' | 'done';
  readonly hosts: readonly RemovedHost[];
  /** With --dry-run. */
  readonly commands?: readonly ShownCommand[];
}

export default class DeployRemove extends ForgeCommand {
  static override summary = 'Stop and remove containers of a cluster; their data stays unless --purge is given.';
  static override description =
    `Those of some nodes, of some hosts, all of the cluster, or single ones by their names. Only containers, volumes and
networks with the cluster's label are touched. Refused while a node is a member of a cluster with slots whose other nodes
stay: take it out first (forge scale remove). A whole cluster, and data, go only after its name was typed, or with --yes.
Exit codes: 0 removed, 2 no such node, host or name, 4 a host does not answer, 5 refused.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --node 10.0.0.7:6379',
    '<%= config.bin %> <%= command.id %> --all --purge --dry-run',
    '<%= config.bin %> <%= command.id %> orders-redis-6390',
  ];
  static override strict = false;

  static override args = {
    name: Args.string({ description: 'Containers, or volumes that are kept, by their names.' }),
  };

  static override flags = {
    ...deployChoiceFlags,
    purge: Flags.boolean({ description: 'Remove the data as well. It cannot be brought back.', default: false }),
    force: Flags.string({
      description: 'Remove nodes that a cluster still counts on: write membership.',
      options: ['membership'],
      helpValue: 'membership',
    }),
    ...yesFlag,
    ...dryRunFlag,
    ...settingsFlags,
  };

  protected override readonly cleanUpMs = CLEAN_UP_MS;

  async run(): Promise<RemoveResult> {
    const { flags, argv } = await this.parse(DeployRemove);
    const names = argv.map(String);
    const choice = { hosts: flags.host ?? [], nodes: flags.node ?? [], all: flags.all };
    if (!choice.all && choice.hosts.length + choice.nodes.length + names.length === 0) {
      throw new ForgeError('usage', 'Nothing is named that is to be removed.', {
        next: 'Name nodes (--node), hosts (--host) or containers, or say --all.',
      });
    }
    const loaded = await readSettings(flags);
    const settings = await loadDeploySettings(loaded);
    const { cluster } = settings;
    const nodes = choice.nodes.length > 0 ? chooseDeployNodes(settings, { ...choice, hosts: [] }, () => false) : [];
    const unknown = choice.hosts.filter((host) => !settings.hosts.some(({ name }) => name === host));
    if (unknown.length > 0) {
      throw new ForgeError('usage', `There is no host ${unknown.join(', ')}.`, {
        next: `Hosts: ${settings.hosts.map(({ name }) => name).join(', ')}.`,
      });
    }
    // Nodes elsewhere know whether those that go are members.
    const deployment = lookingDeployment(
      settings,
      settings.hosts.map(({ name }) => name),
      this.signal,
    );
    await deployment.look((host, error) => {
      if (choice.all || choice.hosts.includes(host) || nodes.some(({ dockerHost }) => dockerHost === host)) throw error;
      this.output.warning(`${host} cannot be looked at: ${error.message}`);
    });
    const seen = new Map(
      deployment.hosts.flatMap((host) => {
        const each = deployment.seen(host);
        return each === undefined ? [] : [[host, each] as const];
      }),
    );
    const plans = planRemoval(cluster, seen, {
      hosts: choice.hosts,
      nodes,
      all: choice.all,
      names,
      purge: flags.purge,
    });
    const hosts = plans.map(removedHost);
    if (plans.every(({ containers, volumes }) => containers.length + volumes.length === 0)) {
      this.output.message('Nothing is to be done.');
      return { cluster, status: 'unchanged', hosts };
    }
    this.#show(plans, settings);
    const verdict = await askRemoval(deployment, plans, settings, await loginOf(settings, loaded.environment));
    if (verdict.kind === 'refused' && flags.force === undefined) {
      throw new ForgeError('refused', verdict.reasons.join('\n'), {
        next: [
          'Take it out of the cluster first: forge scale remove. Or remove all nodes together: --all.',
          'To remove it nevertheless: --force membership',
        ],
        details: { guard: 'membership' },
      });
    }
    if (verdict.kind === 'refused') for (const reason of verdict.reasons) this.output.warning(`overridden: ${reason}`);
    if (flags['dry-run']) {
      const commands = shownCommands(deployment, plans);
      for (const { line } of commands) this.output.data(line);
      this.output.message('Dry run: nothing was changed.');
      return { cluster, status: 'planned', hosts, commands };
    }
    const grave = verdict.kind !== 'free' || plans.some(({ volumes }) => volumes.some(isData));
    const containers = plans.reduce((sum, each) => sum + each.containers.length, 0);
    const data = plans.some(({ volumes }) => volumes.some(isData)) ? ' and their data' : '';
    await this.confirm(`Remove ${containers} containers of ${cluster}${data}?`, grave ? { confirmWord: cluster } : {});
    await carryOutRemoval(deployment, plans, { command: ({ line }) => this.output.message(`  ${line}`) });
    this.output.data(`Removed ${containers} containers of ${cluster}.`);
    return { cluster, status: 'done', hosts };
  }

  #show(plans: readonly HostRemoval[], settings: DeploySettings): void {
    const rows = plans.flatMap(({ host, containers, volumes, kept }) => [
      ...containers.map(({ name, status }) => [host, name, 'container', status, 'remove']),
      ...volumes.map(({ name, content }) => [host, name, 'volume', content || '-', 'remove']),
      ...kept.map(({ name, content }) => [host, name, 'volume', content || '-', 'keep']),
    ]);
    this.output.data(renderTable(['HOST', 'NAME', 'KIND', 'STATE', 'ACTION'], rows));
    for (const folder of keptFolders(settings, plans)) this.output.message(`The folder of data stays: ${folder}`);
  }
}

const isData = ({ content }: { readonly content: string }) => content !== 'configuration';

function removedHost({ host, containers, volumes, kept }: HostRemoval): RemovedHost {
  const namesOf = (each: readonly { readonly name: string }[]) => each.map(({ name }) => name);
  return { host, containers: namesOf(containers), volumes: namesOf(volumes), kept: namesOf(kept) };
}

/** Undefined without a password: what runs cannot be asked then, and is not removed. */
async function loginOf(settings: DeploySettings, environment: NodeJS.ProcessEnv): Promise<RedisLogin | undefined> {
  try {
    const users = await readUserPasswords(settings, environment);
    const admin = users.find(({ role }) => role === 'admin');
    return admin === undefined ? undefined : { username: admin.name, password: admin.secret };
  } catch (error) {
    if (error instanceof ForgeError) return undefined;
    throw error;
  }
}
