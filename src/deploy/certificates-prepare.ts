/** What `forge gen-certs --install` is about to do: judged, in an order that cuts nobody off, as actions of deployments. */
import type { CertificateFacts } from '../certs/facts.js';
import { type BrokenLink, changesTrust, type InstallStage, installOrder } from '../certs/install-order.js';
import { type CertificateSet, judgeSet } from '../certs/install-set.js';
import { presentedFingerprint } from '../certs/live.js';
import { day } from '../certs/plan.js';
import { mapBounded } from '../cluster/bounded.js';
import { ForgeError } from '../errors.js';
import {
  type CertificateParty,
  lookAtParties,
  type Parties,
  type PartyOptions,
  setsOf,
} from './certificates-parties.js';
import { observedAfter, observedCertificateFiles, planCertificates } from './certificates-plan.js';
import type { ServedPort } from './certificates-ports.js';
import type { ShownCommand } from './deployment.js';
import type { DeployAction } from './plan.js';

/** Handshakes at once. */
const LOOKS_AT_ONCE = 16;
const LISTED_MAX = 10;

export interface InstallRow {
  readonly node: string;
  readonly host: string;
  readonly action: 'unchanged' | 'install' | 'tell' | 'absent';
  readonly reasons: readonly string[];
}

export interface InstallStep {
  readonly party: CertificateParty;
  readonly action: DeployAction;
}

/** What a port showed before anything was done; undefined: it could not be looked at from here. */
export type ShownBefore = ReadonlyMap<ServedPort, string | undefined>;

export interface PreparedInstall {
  readonly rows: readonly InstallRow[];
  /** Done one after the other; what is in one of them, side by side. */
  readonly stages: readonly { readonly stage: InstallStage; readonly steps: readonly InstallStep[] }[];
  readonly shownBefore: ShownBefore;
  /** Nodes that nothing of ours runs, and so have to be given their certificates by hand. */
  readonly absent: readonly string[];
  readonly remarks: readonly string[];
  readonly commands: readonly ShownCommand[];
}

export interface InstallOptions extends PartyOptions {
  /** The folder of the certificates. */
  readonly directory: string;
  /** Milliseconds since 1970; the clock when not given. */
  readonly now?: number;
}

/**
 * Looks at everything and changes nothing.
 * @param look told of what was seen, so that what an earlier run has left can be put right; then it is looked at again
 * @throws ForgeError `configuration` for certificates that cannot be used, by node; `refused` when nodes would be cut off,
 *   or have containers without TLS; `unreachable` when it matters what a host trusts that does not answer
 */
export async function prepareInstall(
  options: InstallOptions,
  look?: (parties: Parties) => Promise<boolean>,
): Promise<PreparedInstall> {
  let seen = await lookAtParties(options);
  if ((await look?.(seen)) === true) seen = await lookAtParties(options);
  const { parties, unseen } = seen;
  const now = options.now ?? Date.now();
  const present = parties.filter(({ observed }) => observed !== undefined);
  const sets = new Map(present.map((party) => [party, setsOf(party)]));
  refuseUnusable(sets, { directory: options.directory, now });
  const stages = orderCertificates(sets, unseen, { directory: options.directory, now });
  const chosen = present.filter((party) => party.chosen);
  const shownBefore = await lookAtPorts(chosen, options.signal);
  const planned = chosen.map((party) => ({ party, ...planParty(party, stages, shownBefore) }));
  refuseUndeployed(planned);
  const steps = stages.map((stage, index) => ({
    stage,
    steps: planned.flatMap(({ party, actions }) => {
      const action = actions[index];
      return action === undefined ? [] : [{ party, action }];
    }),
  }));
  const absent = parties.filter((party) => party.chosen && party.observed === undefined && party.role === 'redis');
  return {
    rows: [
      ...planned.map(({ party, actions, told }) => rowOf(party, actions, told, sets.get(party))),
      ...absent.map(({ name, desired }) => ({
        node: name,
        host: desired.host,
        action: 'absent' as const,
        reasons: ['there is no container of forge deploy redis'],
      })),
    ],
    stages: steps.filter((each) => each.steps.length > 0),
    shownBefore,
    absent: absent.map(({ name }) => name),
    remarks: [
      ...[...unseen].map(([host, error]) => `${host} was not looked at: ${error.message}`),
      ...chosen.flatMap(({ name, observed }) =>
        observed?.status === 'running' ? [] : [`${name} does not run: it takes its certificates when it starts.`],
      ),
    ],
    commands: steps.flatMap((each) => each.steps.flatMap(({ party, action }) => party.deployment.commands(action))),
  };
}

type Sets = ReadonlyMap<CertificateParty, { readonly before: CertificateSet; readonly after: CertificateSet }>;

/** @throws ForgeError `configuration` that names each certificate that cannot be used, with why */
export function refuseUnusable(sets: Sets, { directory, now }: { directory: string; now: number }): void {
  const faults = [...sets].flatMap(([{ name, names, usages, chosen }, { after }]) =>
    chosen ? judgeSet(after, { now, names, usages }).map((fault) => ({ name, fault })) : [],
  );
  if (faults.length === 0) return;
  const lines = faults.slice(0, LISTED_MAX).map(({ name, fault }) => `${name}: ${fault}.`);
  if (faults.length > LISTED_MAX) lines.push(`And ${faults.length - LISTED_MAX} more.`);
  throw new ForgeError('configuration', lines.join('\n'), {
    host: [...new Set(faults.map(({ name }) => name))].slice(0, LISTED_MAX).join(', '),
    next: [
      `Nothing was changed. To make them right: forge gen-certs ${directory} --renew`,
      `All that is wrong: forge gen-certs ${directory} --check`,
    ],
    details: { faults },
  });
}

/** @throws ForgeError `refused` with who would not trust whom; `unreachable` where that matters and cannot be seen */
export function orderCertificates(
  sets: Sets,
  unseen: ReadonlyMap<string, ForgeError>,
  { directory, now }: { directory: string; now: number },
): readonly InstallStage[] {
  const [firstUnseen] = unseen;
  const changing = [...sets].find(([{ chosen }, each]) => chosen && changesTrust(each));
  if (firstUnseen !== undefined && changing !== undefined) {
    const [host, error] = firstUnseen;
    throw new ForgeError(
      'unreachable',
      `${host} cannot be looked at, and whom it trusts matters here: ${error.message}`,
      {
        host: [...unseen.keys()].join(', '),
        next: ['Nothing was changed: nodes there might not understand the others any more.', ...error.next],
        cause: error,
      },
    );
  }
  const result = installOrder(
    [...sets].map(([{ name, chosen, role }, each]) => ({ name, chosen, isNode: role === 'redis', ...each })),
    now,
  );
  if ('stages' in result) return result.stages;
  throw cutOff(result.broken, sets, directory);
}

function cutOff(broken: readonly BrokenLink[], sets: Sets, directory: string): ForgeError {
  const left = new Set([...sets.keys()].flatMap(({ name, chosen }) => (chosen ? [] : [name])));
  const others = broken.some(({ verifier, shower }) => left.has(verifier) || left.has(shower));
  const lines = broken
    .slice(0, LISTED_MAX)
    .map(({ verifier, shower }) => `${verifier} would not trust the certificate of ${shower}.`);
  if (broken.length > LISTED_MAX) lines.push(`And ${broken.length - LISTED_MAX} more.`);
  return new ForgeError('refused', [...new Set(lines)].join('\n'), {
    host: [...new Set(broken.map(({ verifier }) => verifier))].slice(0, LISTED_MAX).join(', '),
    next: [
      'Nothing was changed.',
      ...(others ? [`Give them to all at once: forge gen-certs ${directory} --install --all`] : []),
      `A CA is changed in steps, with --install --all after each: --rotate-ca, --switch-ca, --retire-ca.`,
    ],
    details: { broken: broken.slice(0, LISTED_MAX) },
  });
}

/** What every port of those that run shows. It is no failure here when one cannot be reached. */
async function lookAtPorts(parties: readonly CertificateParty[], signal?: AbortSignal): Promise<ShownBefore> {
  const ports = parties.flatMap(({ observed, ports: all }) =>
    observed?.status === 'running'
      ? all.map((port) => ({ port, client: clientPair(observedCertificateFiles(observed)) }))
      : [],
  );
  const shown = await mapBounded(ports, LOOKS_AT_ONCE, async ({ port, client }) =>
    presentedFingerprint({ host: port.host, port: port.port, ...client }, signal).catch((error: unknown) => {
      if (error instanceof ForgeError) return undefined;
      throw error;
    }),
  );
  return new Map(ports.map(({ port }, index) => [port, shown[index]]));
}

/** Certificate and key to come in with, where a port asks for them: the party's own. */
export function clientPair(files: readonly { readonly text: string; readonly part: string }[]) {
  const pairs = files.filter(({ part }) => part === 'pair').map(({ text }) => text);
  const cert = pairs.find((text) => text.includes('-BEGIN CERTIFICATE-'));
  const key = pairs.find((text) => text.includes('PRIVATE KEY-'));
  return cert === undefined || key === undefined ? {} : { client: { cert, key } };
}

interface PartyPlan {
  /** By stage. */
  readonly actions: readonly (DeployAction | undefined)[];
  /** Its files are right, and what it shows is something else. */
  readonly told: boolean;
  /** Why only a deployment can do it. */
  readonly undeployed: readonly string[];
}

function planParty(party: CertificateParty, stages: readonly InstallStage[], shown: ShownBefore): PartyPlan {
  const { desired, effectOf, ports } = party;
  let state = party.observed;
  const actions: (DeployAction | undefined)[] = [];
  for (const stage of stages) {
    if (state === undefined) break;
    const plan = planCertificates(desired, state, effectOf, { stage });
    if (plan.kind === 'deploy') return { actions: [], told: false, undeployed: plan.reasons };
    actions.push(plan.kind === 'action' ? plan.action : undefined);
    if (plan.kind === 'action') state = observedAfter(state, plan.action);
  }
  const { observed } = party;
  if (observed === undefined || actions.some((each) => each !== undefined))
    return { actions, told: false, undeployed: [] };
  const { shown: own } = setsOf(party).after;
  const stale = ports.some((port) => {
    const [has, shows] = [own.get(port.file), shown.get(port)];
    return has !== undefined && shows !== undefined && shows !== has.fingerprint;
  });
  const plan = stale ? planCertificates(desired, observed, effectOf, { stage: 'all', again: true }) : undefined;
  return plan?.kind === 'action'
    ? { actions: [plan.action], told: true, undeployed: [] }
    : { actions, told: false, undeployed: [] };
}

function refuseUndeployed(planned: readonly (PartyPlan & { readonly party: CertificateParty })[]): void {
  const faults = planned.filter(({ undeployed }) => undeployed.length > 0);
  if (faults.length === 0) return;
  const lines = faults.map(({ party, undeployed }) => `${party.name}: ${undeployed.join(', ')}.`);
  const commands = [...new Set(faults.map(({ party }) => `forge deploy ${party.role}`))];
  throw new ForgeError('refused', lines.slice(0, LISTED_MAX).join('\n'), {
    host: faults
      .map(({ party }) => party.name)
      .slice(0, LISTED_MAX)
      .join(', '),
    next: `Nothing was changed. Only a new container brings them: ${commands.join(', ')}`,
  });
}

function rowOf(
  { name, role, desired }: CertificateParty,
  actions: readonly (DeployAction | undefined)[],
  told: boolean,
  sets: { readonly before: CertificateSet; readonly after: CertificateSet } | undefined,
): InstallRow {
  const common = { node: role === 'redis' ? name : desired.options.name, host: desired.host };
  if (told) return { ...common, action: 'tell', reasons: ['it shows another certificate than the one in its file'] };
  const paths = [...new Set(actions.flatMap((action) => action?.reasons ?? []))];
  if (paths.length === 0 || sets === undefined) return { ...common, action: 'unchanged', reasons: [] };
  const reasons = [...certificateReasons(sets, paths), ...authorityReasons(sets)];
  return { ...common, action: 'install', reasons: reasons.length > 0 ? reasons : paths };
}

function certificateReasons(
  { before, after }: { before: CertificateSet; after: CertificateSet },
  paths: readonly string[],
): string[] {
  const until = ({ notAfter, x509 }: CertificateFacts) => `${x509.serialNumber.slice(0, 12)}… until ${day(notAfter)}`;
  return paths.flatMap((path) => {
    const [old, now] = [before.shown.get(path), after.shown.get(path)];
    if (now === undefined || old?.fingerprint === now.fingerprint)
      return after.keys.has(path) && now === undefined ? [`${path}: another key`] : [];
    return [`${path}: ${old === undefined ? '' : `${until(old)} → `}${until(now)}`];
  });
}

function authorityReasons({ before, after }: { before: CertificateSet; after: CertificateSet }): string[] {
  const without = (some: CertificateSet, others: CertificateSet) =>
    some.trusted.filter((each) => !others.trusted.some(({ fingerprint256 }) => fingerprint256 === each.fingerprint256));
  const words = (each: { serialNumber: string; validTo: string }) =>
    `CA ${each.serialNumber.slice(0, 12)}… (until ${day(Date.parse(each.validTo))})`;
  return [
    ...without(after, before).map((each) => `trusts ${words(each)}`),
    ...without(before, after).map((each) => `no longer trusts ${words(each)}`),
  ];
}
