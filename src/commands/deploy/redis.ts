import path from 'node:path';
import { Flags } from '@oclif/core';
import { ChangeCommand } from '../../change-command.js';
import { formatAddress } from '../../cluster/address.js';
import { readSettings } from '../../config/cluster-flags.js';
import { deployChoiceFlags } from '../../config/deploy-choice.js';
import type { DeploySettings } from '../../config/deploy-settings.js';
import { loadDeploySettings, ownAddresses } from '../../config/deploy-settings-load.js';
import type { Settings } from '../../config/resolve.js';
import type { ShownCommand } from '../../deploy/deployment.js';
import { redisImageCommand } from '../../deploy/images.js';
import { requireFree } from '../../deploy/obstacles.js';
import { requireSamePasswords } from '../../deploy/passwords.js';
import type { DeployAction } from '../../deploy/plan.js';
import { chooseDeployNodes, type RedisDeployment, redisDeployment } from '../../deploy/redis-deployment.js';
import { sameRequest } from '../../operations/plan.js';
import { planRestart, restartRequest } from '../../operations/planners/restart.js';
import { proveDeployment } from '../../runtime/prove-deployment.js';
import { type DeployRow, deployTable } from '../../ui/deploy-plan.js';

/**
 * Until the deployment of one node that is replaced in an order is ended, milliseconds. It has bounds of its own, the
 * longest of which is that a node reads its data: so this one is only for a program that hangs.
 */
const ONE_NODE_MS = 30 * 60_000;

interface DeployResult {
  readonly cluster: string;
  readonly status: 'unchanged' | 'planned' | 'done';
  readonly nodes: readonly DeployRow[];
  /** With --dry-run: exactly what would be run, in its order. */
  readonly commands?: readonly ShownCommand[];
  readonly elapsedMs: number;
}

type Flagged = Awaited<ReturnType<DeployRedis['parseFlags']>>;

interface Work {
  readonly wanted: DeploySettings;
  readonly redis: RedisDeployment;
  readonly actions: readonly DeployAction[];
  /** Those of them that serve: they are replaced one after the other. */
  readonly rolling: ReadonlySet<DeployAction>;
  readonly rows: readonly DeployRow[];
  readonly builds: readonly ShownCommand[];
}

export default class DeployRedis extends ChangeCommand {
  static override summary = 'Run the Redis nodes of forge.yaml as hardened containers, and keep them as it says.';
  static override description =
    `On this machine's Docker engine, or on every host of forge.yaml. Says what it would change, changes only that, and keeps
the data: what Redis takes while it runs is set live; what needs a new container is replaced, in a cluster one node after
the other, replicas first, masters after a planned failover. A container that does not come up gives its place back to the
one before. Run again, it does nothing, or the rest. Containers of others are never touched.
Exit codes: 0 as wanted, 3 a setting is wrong, 4 a host or a new container does not answer, 5 a name or a port is taken or a
guard refused, 8 some hosts failed, 10 no Docker or no image, 11 no permission.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --all --dry-run',
    '<%= config.bin %> <%= command.id %> --all --set maxmemory=3gb --yes',
    '<%= config.bin %> <%= command.id %> --all --version 8.0 --build',
  ];

  // A plan could only hold the rolling part: the other would be carried out without it.
  static override baseFlags = withoutPlans(ChangeCommand.baseFlags);

  static override flags = {
    ...deployChoiceFlags,
    version: Flags.string({
      description: 'Version of the server instead of redis.version: 7.0, 8.0, valkey-9.1.',
      helpValue: 'VERSION',
    }),
    set: Flags.string({
      description: 'A setting over that of forge.yaml: maxmemory=3gb, redis.memory=4gb. May be repeated.',
      helpValue: 'NAME=VALUE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    build: Flags.boolean({ description: 'Build the image on the hosts first.', default: false }),
    pull: Flags.boolean({
      description: 'Take the image from its registry to the hosts first, newer ones of the same tag as well.',
      default: false,
      exclusive: ['build'],
    }),
    now: Flags.boolean({
      description: 'Replace nodes at once, without the order that keeps a cluster serving.',
      default: false,
    }),
  };

  #agreed = false;

  /** One question is enough for a deployment and the rolling part of it. */
  protected override async confirm(...question: Parameters<ChangeCommand['confirm']>): Promise<true> {
    if (!this.#agreed) await super.confirm(...question);
    this.#agreed = true;
    return true;
  }

  private parseFlags() {
    return this.parse(DeployRedis);
  }

  async run(): Promise<DeployResult> {
    const started = performance.now();
    const { flags } = await this.parseFlags();
    const settings = await readSettings(flags);
    const work = await this.#plan(flags, settings);
    const { rows, actions } = work;
    const cluster = work.redis.deployment.cluster;
    const changed = rows.filter(({ action }) => action !== 'unchanged');
    const ended = () => Math.round(performance.now() - started);
    this.output.data(deployTable(rows, this.output.colors));
    if (changed.length > 0) {
      // Before a server looks at them: it would say less.
      await this.#guardCertificates(work, flags, settings);
      await proveDeployment(work.wanted, settings.environment, this.signal);
    }
    if (flags['dry-run']) {
      const commands = [...work.builds, ...actions.flatMap((action) => work.redis.deployment.commands(action))];
      for (const { line } of commands) this.output.data(line);
      this.output.message('Dry run: nothing was changed.');
      return { cluster, status: 'planned', nodes: rows, commands, elapsedMs: ended() };
    }
    if (changed.length === 0) {
      this.output.message('Nothing is to be done.');
      return { cluster, status: 'unchanged', nodes: rows, elapsedMs: ended() };
    }
    await this.confirm(`Deploy ${changed.length} of ${rows.length} nodes of ${cluster}?`);
    if (await this.#carryOut(work, flags)) {
      // What was interrupted was planned for another forge.yaml, perhaps.
      const rest = await this.#plan(flags, settings);
      if (rest.actions.some(({ kind }) => kind !== 'unchanged')) await this.#carryOut(rest, flags);
    }
    this.output.data(`Deployed in ${(ended() / 1_000).toFixed(1)} s.`);
    return { cluster, status: 'done', nodes: rows, elapsedMs: ended() };
  }

  async #guardCertificates({ wanted, actions }: Work, flags: Flagged['flags'], settings: Settings): Promise<void> {
    const directory = wanted.redis.tls?.directory;
    if (directory === undefined) return;
    const { guardCertificates } = await import('../../deploy/certificates-guard.js');
    const options = {
      settings: wanted,
      directory,
      choice: choiceOf(flags),
      environment: settings.environment,
      serverName: settings.cluster?.tls?.server_name,
      signal: this.signal,
    };
    await guardCertificates(options, actions);
  }

  async #plan(flags: Flagged['flags'], settings: Settings): Promise<Work> {
    const set = [...(flags.version === undefined ? [] : [`redis.version=${flags.version}`]), ...(flags.set ?? [])];
    const wanted = await loadDeploySettings(settings, set);
    for (const warning of wanted.warnings) this.output.warning(warning);
    const redis = await redisDeployment({
      settings: wanted,
      nodes: chooseDeployNodes(wanted, choiceOf(flags), ownAddresses()),
      environment: settings.environment,
      signal: this.signal,
    });
    const { deployment } = redis;
    await deployment.look();
    const leftovers = await deployment.leftovers();
    if (leftovers.length > 0 && !flags['dry-run']) {
      this.output.message('An earlier deployment was ended halfway: what it left is put right first.');
      await deployment.recover(leftovers, { command: ({ line }) => this.output.message(`  ${line}`) });
    }
    const image = await redisImageCommand(wanted.redis, flags);
    const builds = image === undefined ? [] : deployment.onEveryHost(image.command);
    if (image !== undefined && !flags['dry-run']) {
      this.output.message(`${image.title} …`);
      await deployment.runOnEveryHost(image.command);
      await deployment.look();
    }
    const { actions, obstacles } = deployment.plan(new Set(image === undefined ? [] : [wanted.redis.image]));
    requireFree(obstacles, ['--build', '--pull']);
    const rolling = new Set<DeployAction>();
    const replaced = flags.now ? [] : actions.filter(({ kind }) => kind === 'replace');
    const serving = await Promise.all(replaced.map((action) => redis.serves(action)));
    for (const [index, action] of replaced.entries()) if (serving[index]) rolling.add(action);
    requireSamePasswords(rolling);
    const rows = actions.map((action): DeployRow => {
      const { host, port } = redis.nodeOf(action);
      const { kind, desired, reasons } = action;
      return {
        node: formatAddress({ host, port }),
        host: desired.host,
        action: kind,
        rolling: rolling.has(action),
        reasons,
      };
    });
    return { wanted, redis, actions, rolling, rows, builds };
  }

  /** @returns whether a rolling deployment that was interrupted was gone on with, instead of what this plan says of it */
  async #carryOut({ redis, actions, rolling }: Work, flags: Flagged['flags']): Promise<boolean> {
    const parallel = actions.filter((action) => action.kind !== 'unchanged' && !rolling.has(action));
    const words = { begun: '→', done: '✔', failed: '✖' };
    await redis.deployment.carryOut(parallel, {
      action: ({ kind, desired }, state) =>
        this.output.message(`${words[state]} ${desired.options.name} on ${desired.host}: ${kind}`),
      warning: (text) => this.output.warning(text),
    });
    if (rolling.size === 0) return false;
    const nodes = [...rolling].map((action) => {
      const { announce, host } = redis.nodeOf(action);
      return formatAddress({ host: announce.ip ?? host, port: announce.port });
    });
    const request = {
      nodes,
      command: [...this.#itself(), '--node', '{address}', '--now', '--yes', '--quiet', ...passedOn(flags)],
      commandMs: ONE_NODE_MS,
      failBack: false,
      allowOutage: false,
    };
    const wish = { operation: 'cluster restart', request: restartRequest(request) };
    let continued = false;
    await this.change({
      flags,
      ...wish,
      plan: (snapshot) => planRestart(snapshot, request),
      // Of its nodes some are done by now, so that others are left; what is deployed is for forge.yaml to say.
      continues: ({ operation, request: begun }) => {
        continued = sameRequest({ operation, request: { ...begun, nodes: wish.request['nodes'] ?? [] } }, wish);
        return continued;
      },
    });
    return continued;
  }

  /** How a step of the rolling part calls this command again, for one node. */
  #itself(): string[] {
    return [process.execPath, path.join(this.config.root, 'bin', 'run.js'), 'deploy', 'redis'];
  }
}

const choiceOf = ({ host, node, all }: Flagged['flags']) => ({ hosts: host ?? [], nodes: node ?? [], all });

/** The flags are gone; their values, which are optional, are never there. */
function withoutPlans<F extends { plan: unknown; 'plan-out': unknown }>(flags: F): F {
  const { plan: _plan, 'plan-out': _out, ...rest } = flags;
  return rest as F;
}

/** Flags that say what is wanted; nothing secret is among them. */
function passedOn(flags: Flagged['flags']): string[] {
  const one = (name: 'config' | 'env-file' | 'name' | 'version') => {
    const value = flags[name];
    return value === undefined ? [] : [`--${name}`, value];
  };
  return [
    ...one('config'),
    ...one('env-file'),
    ...one('name'),
    ...one('version'),
    ...(flags.set ?? []).flatMap((each) => ['--set', each]),
  ];
}
