/** Certificates of a running container changed, and nothing else of it. Pure. */

import type { InstallStage } from '../certs/install-order.js';
import { type CertificatePart, certificatePart } from '../certs/install-set.js';
import type { DesiredContainer } from './container.js';
import type { FileChange } from './effect.js';
import type { ObservedContainer, ObservedFile } from './observed.js';
import { type DeployAction, type EffectOf, fileChanges } from './plan.js';
import { PROXY_CONFIG_FILE } from './proxy-container.js';

/** What a container is to get of what it has. */
export interface CertificateFile {
  readonly path: string;
  readonly part: CertificatePart;
  readonly text: string;
}

/** The files of a container that hold certificates and keys, as they are to be. */
export function certificateFiles({ files }: Pick<DesiredContainer, 'files'>): CertificateFile[] {
  return files.flatMap(({ path, content }) => fileOf(path, content));
}

/** The same of a container as it is. */
export function observedCertificateFiles({ files }: Pick<ObservedContainer, 'files'>): CertificateFile[] {
  return [...(files ?? [])].flatMap(([path, { content }]) => fileOf(path, content));
}

function fileOf(path: string, content: string | Uint8Array | undefined): CertificateFile[] {
  // One that is written into the proxy's configuration itself comes and goes with it.
  if (content === undefined || path === PROXY_CONFIG_FILE) return [];
  const text = typeof content === 'string' ? content : Buffer.from(content).toString('utf8');
  const part = certificatePart(text);
  return part === undefined ? [] : [{ path, part, text }];
}

export type CertificatePlan =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'action'; readonly action: DeployAction }
  /** It is not made for these files: only a deployment brings them. */
  | { readonly kind: 'deploy'; readonly reasons: readonly string[] };

export interface CertificateChoice {
  readonly stage: InstallStage;
  /** Files that are right are told once more: what it shows is something else. */
  readonly again?: boolean;
}

/** What gives a container its certificates, or a part of them; all its other files stay as they are. */
export function planCertificates(
  desired: DesiredContainer,
  observed: ObservedContainer,
  effectOf: EffectOf,
  { stage, again = false }: CertificateChoice,
): CertificatePlan {
  const present = observed.files ?? new Map<string, ObservedFile>();
  const chosen = certificateFiles(desired).filter(({ part }) => stage === 'all' || part === stage);
  const lacking = chosen.filter(({ path }) => !present.has(path));
  if (lacking.length > 0) return { kind: 'deploy', reasons: lacking.map(({ path }) => `it has no ${path} yet`) };
  const paths = new Set(chosen.map(({ path }) => path));
  const files = desired.files.filter(({ path }) => paths.has(path));
  // What another deployment does with other files at the same time is not undone.
  const own = new Map([...present].filter(([path]) => paths.has(path)));
  const changes = fileChanges({ files }, own);
  const told = again && changes.length === 0 ? chosen.map(toldAgain) : changes;
  if (told.length === 0) return { kind: 'unchanged' };
  const effect = effectOf(desired, told);
  if (effect.kind === 'replace') return { kind: 'deploy', reasons: effect.reasons };
  if (
    effect.changes.some(({ to }) => to === 'program') &&
    argumentsOf(observed) !== JSON.stringify(desired.options.args)
  ) {
    // An older one may listen elsewhere, or not at all, for what it is told.
    return { kind: 'deploy', reasons: ['it was started with other arguments'] };
  }
  // Only an image that the host has for certain: that of the container.
  const options = { ...desired.options, image: observed.imageId };
  return {
    kind: 'action',
    action: {
      kind: 'live',
      desired: { ...desired, options, files },
      observed: { ...observed, files: own },
      revision: observed.revision,
      reasons: told.map(({ path }) => path),
      live: observed.status === 'running' ? effect.changes : [],
    },
  };
}

/** Of the program, as its container was made. */
function argumentsOf({ wanted }: ObservedContainer): string | undefined {
  try {
    const { args } = JSON.parse(wanted ?? '') as { args?: unknown };
    return JSON.stringify(args);
  } catch {
    return undefined;
  }
}

const toldAgain = ({ path, text }: CertificateFile): FileChange => ({ path, before: text, after: text, again: true });

/** The files of an action, as they are after it. */
function filesAfter({ desired }: DeployAction): ReadonlyMap<string, ObservedFile> {
  return new Map(
    desired.files.flatMap(({ path, content, mode, uid, gid }) =>
      content === undefined ? [] : [[path, { content: Buffer.from(content), mode, uid, gid }] as const],
    ),
  );
}

/** A container as it is after an action on its certificates. */
export function observedAfter(observed: ObservedContainer, action: DeployAction): ObservedContainer {
  return { ...observed, files: new Map([...(observed.files ?? []), ...filesAfter(action)]) };
}

/** What takes an action back: the files from before, told as the new ones were. Undefined where there were none. */
export function takenBack(action: DeployAction): DeployAction | undefined {
  const { desired, observed } = action;
  if (observed?.files === undefined) return undefined;
  const files = [...observed.files].map(([path, file]) => ({ path, ...file }));
  return { ...action, desired: { ...desired, files }, observed: { ...observed, files: filesAfter(action) } };
}
