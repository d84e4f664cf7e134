/**
 * The base of `forge drill …`: what will be done is said first, then the cluster's name is asked for, then clients check
 * everything while it happens, and a report with a verdict is left.
 */
import { access, constants, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Flags } from '@oclif/core';
import { dryRunFlag, yesFlag } from './base-command.js';
import { parseAddress } from './cluster/address.js';
import { targetOf } from './cluster-command.js';
import { type ClusterFlagValues, readSettings } from './config/cluster-flags.js';
import { formatDuration, parseDuration } from './config/duration.js';
import type { Settings, TargetFlags } from './config/resolve.js';
import { CALM_MS, type DrillReport } from './drills/drill.js';
import { clusterEndpoint } from './drills/link/cluster.js';
import type { Endpoint } from './drills/link/link.js';
import { rawEndpoint } from './drills/link/raw.js';
import { CLIENTS_MIN, workloadFor } from './drills/rehearsals/drill-workload.js';
import { RESTORE_MS, type Rehearsal, rehearse } from './drills/rehearsals/rehearsal.js';
import { requireSameCluster } from './drills/rehearsals/same-cluster.js';
import { requireNothingUnfinished, requireWhole, type Stage } from './drills/rehearsals/stage.js';
import type { Bounds } from './drills/verdict.js';
import { EXIT_CODES, ForgeError } from './errors.js';
import { InterruptibleCommand } from './interruptible-command.js';
import { operationPaths } from './operations/home.js';
import { MoveControl } from './operations/move/control.js';
import { takeOnlySpareTime } from './operations/priority/spare-time.js';
import { WAIT_MS } from './operations/run.js';
import { chooseTarget } from './smoke/default-target.js';
import { askConfirmation } from './ui/confirm.js';
import { drillLines, eventLine, rehearsalLines } from './ui/drill.js';

const CLIENTS_MAX = 500;
const CLIENTS_DEFAULT = 30;
const INTERVAL_MAX_MS = 10_000;
const CALM_MAX_MS = 10 * 60_000;
const PAUSE_MAX_MS = 10 * 60_000;
const REPLICAS_MAX = 10;
const ERRORS_MAX = 1_000_000_000;
/** Clients look at everything once more when all is put back: half a minute at most, and their connections end. */
const SETTLE_MS = 45_000;

export const drillFlags = {
  ...yesFlag,
  ...dryRunFlag,
  confirm: Flags.string({
    description:
      'The name of the cluster, that nobody drills another one: as --name or forge.yaml has it, else as --seed.',
    helpValue: 'NAME',
  }),
  endpoint: Flags.string({
    description: 'The proxy that clients go through; that of forge.yaml or of forge up when not given.',
    helpValue: 'HOST:PORT',
  }),
  'endpoint-username': Flags.string({ description: 'As whom clients log in there.', helpValue: 'NAME' }),
  'endpoint-password-file': Flags.string({ description: 'File that holds their password.', helpValue: 'FILE' }),
  'endpoint-tls': Flags.boolean({ description: 'Speak TLS to the proxy.' }),
  'endpoint-cacert': Flags.string({
    description: 'Authority of its certificate; means --endpoint-tls.',
    helpValue: 'FILE',
  }),
  beside: Flags.boolean({
    description: 'Have a client that knows the cluster itself do the same beside it, to compare.',
    default: false,
  }),
  clients: Flags.integer({
    description: 'Clients that do and check something.',
    default: CLIENTS_DEFAULT,
    min: CLIENTS_MIN,
    max: CLIENTS_MAX,
    helpValue: 'N',
  }),
  interval: Flags.string({
    description: 'Between two commands of a client; 0s for as many as go.',
    default: '5ms',
    helpValue: 'DURATION',
  }),
  calm: Flags.string({
    description: 'How long clients are watched before and after it.',
    default: formatDuration(CALM_MS),
    helpValue: 'DURATION',
  }),
  'wait-replicas': Flags.integer({
    description: 'Clients have so many replicas acknowledge each write (WAIT): then none may be lost.',
    default: 0,
    min: 0,
    max: REPLICAS_MAX,
    helpValue: 'N',
  }),
  'max-pause': Flags.string({
    description: 'The longest pause that passes, in place of the one of the drill.',
    helpValue: 'DURATION',
  }),
  'max-errors': Flags.integer({
    description: 'Errors that pass, in place of those of the drill.',
    min: 0,
    max: ERRORS_MAX,
    helpValue: 'N',
  }),
  html: Flags.string({ description: 'Write the report as one page with its timeline.', helpValue: 'FILE' }),
};

export interface DrillFlagValues extends ClusterFlagValues {
  readonly yes: boolean;
  readonly 'dry-run': boolean;
  readonly confirm?: string;
  readonly endpoint?: string;
  readonly 'endpoint-username'?: string;
  readonly 'endpoint-password-file'?: string;
  readonly 'endpoint-tls'?: boolean;
  readonly 'endpoint-cacert'?: string;
  readonly beside: boolean;
  readonly clients: number;
  readonly interval: string;
  readonly calm: string;
  readonly 'wait-replicas': number;
  readonly 'max-pause'?: string;
  readonly 'max-errors'?: number;
  readonly html?: string;
}

export type DrillResult =
  | (DrillReport & { readonly cluster: string })
  | { readonly status: 'planned'; readonly cluster: string; readonly endpoint: string; readonly plan: PlannedDrill };

interface PlannedDrill extends Pick<Rehearsal, 'name' | 'does' | 'clients' | 'undo' | 'bounds'> {}

export abstract class DrillCommand extends InterruptibleCommand {
  static override baseFlags = { ...InterruptibleCommand.baseFlags, ...drillFlags };

  protected override readonly cleanUpMs = RESTORE_MS + SETTLE_MS;

  /** @param make what is rehearsed; it looks and refuses, and changes nothing yet */
  protected async drill(
    flags: DrillFlagValues,
    make: (stage: Stage, settings: Settings, endpoint: Endpoint) => Promise<Rehearsal> | Rehearsal,
  ): Promise<DrillResult> {
    const times = timesOf(flags);
    if (flags.html !== undefined) await requireWritable(flags.html);
    const settings = await readSettings(flags);
    const endpoint = await endpointOf(flags, settings);
    return this.withSession(
      flags,
      async (session) => {
        const stage: Stage = {
          session,
          withSession: (work, also) => this.withSession(flags, work, { also: also ?? [], untilAgreed: true }),
          operations: {
            paths: operationPaths(),
            waitMs: WAIT_MS,
            giveWay: takeOnlySpareTime,
            move: this.pausable(new MoveControl()),
          },
        };
        const cluster = session.name ?? session.cluster;
        requireWhole(stage);
        await requireNothingUnfinished(stage);
        const rehearsal = await make(stage, settings, endpoint);
        await requireSameCluster(endpoint, session);
        for (const line of rehearsalLines(rehearsal, `${cluster} through ${endpoint.label}`)) this.output.message(line);
        if (flags['dry-run']) {
          this.output.message('Dry run: nothing was changed.');
          const { name, does, clients, undo, bounds } = rehearsal;
          return { status: 'planned', cluster, endpoint: endpoint.label, plan: { name, does, clients, undo, bounds } };
        }
        await this.#consent(flags, cluster);
        const beside = flags.beside ? await besideOf(flags, settings, stage) : undefined;
        this.output.message('Clients are at work.');
        const report = await rehearse(rehearsal, {
          endpoint,
          ...(beside === undefined ? {} : { beside }),
          workload: { ...workloadFor(flags.clients), pauseMs: times.intervalMs, replicas: flags['wait-replicas'] },
          bounds: boundsOf(flags),
          calmMs: times.calmMs,
          signal: this.signal,
          onEvent: (event) => this.output.message(eventLine(event)),
          // What failed or was ended is told as a failure; what clients lived through until then is worth a look.
          onFailure: (failed) => {
            for (const line of drillLines(failed, this.output.columns, this.output.colors)) this.output.message(line);
          },
        });
        await this.#show(report, cluster, flags);
        return { cluster, ...report };
      },
      { untilAgreed: true },
    );
  }

  /** A drill disturbs whoever uses the cluster: a `--yes` in a script that was copied is no consent. */
  async #consent({ yes, confirm }: DrillFlagValues, cluster: string): Promise<void> {
    if (confirm !== undefined && confirm !== cluster) {
      throw new ForgeError('refused', `${confirm} is not the name of this cluster: it is ${cluster}.`, {
        next: `Look where this leads; a drill is for staging. Then: --yes --confirm ${cluster}`,
      });
    }
    const next = `Look where this leads; a drill is for staging. Then add --yes --confirm ${cluster}`;
    if (!yes) throw new ForgeError('refused', `A drill disturbs ${cluster}. This is not confirmed.`, { next });
    if (confirm === cluster) return;
    const json = this.jsonEnabled();
    const { signal } = this;
    await askConfirmation(`Disturb ${cluster}?`, { confirmWord: cluster, otherwise: next, json, signal });
  }

  async #show(report: DrillReport, cluster: string, { html }: DrillFlagValues): Promise<void> {
    for (const line of drillLines(report, this.output.columns, this.output.colors)) this.output.data(line);
    process.exitCode = report.verdict.passed ? EXIT_CODES.done : EXIT_CODES.verification;
    if (html === undefined) return;
    const { renderPage } = await import('./drills/report/html.js');
    await writePage(html, renderPage(report, { cluster, version: this.config.version }));
    this.output.message(`The report is in ${html}.`);
  }
}

function timesOf({ interval, calm, 'max-pause': pause }: DrillFlagValues) {
  if (pause !== undefined) parseDuration(pause, { maxMs: PAUSE_MAX_MS });
  return {
    intervalMs: parseDuration(interval, { minMs: 0, maxMs: INTERVAL_MAX_MS }),
    calmMs: parseDuration(calm, { minMs: 0, maxMs: CALM_MAX_MS }),
  };
}

function boundsOf({ 'max-pause': pause, 'max-errors': errors }: DrillFlagValues): Bounds {
  return {
    ...(pause === undefined ? {} : { longestPauseMs: parseDuration(pause, { maxMs: PAUSE_MAX_MS }) }),
    ...(errors === undefined ? {} : { errors }),
  };
}

/** @throws ForgeError `usage` where nodes are named by --seed and no endpoint is: it could be any */
async function endpointOf(flags: DrillFlagValues, settings: Settings): Promise<Endpoint> {
  if (flags.seed !== undefined && flags.endpoint === undefined) {
    throw new ForgeError('usage', '--seed says which nodes, and nothing which proxy is in front of them.', {
      next: 'Add --endpoint HOST:PORT.',
    });
  }
  const given = flags.endpoint === undefined ? undefined : parseAddress(flags.endpoint);
  const asked: TargetFlags = {
    ...(flags['endpoint-username'] === undefined ? {} : { username: flags['endpoint-username'] }),
    ...(flags['endpoint-password-file'] === undefined ? {} : { 'password-file': flags['endpoint-password-file'] }),
    ...(flags['endpoint-tls'] === undefined ? {} : { tls: flags['endpoint-tls'] }),
    ...(flags['endpoint-cacert'] === undefined ? {} : { cacert: flags['endpoint-cacert'] }),
  };
  return rawEndpoint(await chooseTarget(given, asked, settings));
}

async function besideOf(flags: DrillFlagValues, settings: Settings, { session }: Stage): Promise<Endpoint> {
  const { connect } = await targetOf(flags, settings);
  return clusterEndpoint(
    session.snapshot.reports.map(({ ip, port }) => ({ host: ip, port })),
    connect,
  );
}

/** Before anything is disturbed: a report that cannot be written is found out too late otherwise. */
async function requireWritable(file: string): Promise<void> {
  const folder = path.dirname(path.resolve(file));
  await access(folder, constants.W_OK).catch((cause) => {
    throw new ForgeError('configuration', `${folder} cannot be written to.`, {
      next: 'Name another file with --html.',
      cause,
    });
  });
}

async function writePage(file: string, page: string): Promise<void> {
  try {
    await writeFile(file, page);
  } catch (cause) {
    throw new ForgeError('configuration', `The report cannot be written to ${file}.`, {
      next: 'Check its folder; --json has the same figures.',
      cause,
    });
  }
}
