/** `forge host tune`: looks, plans, applies, undoes. Returns data; asks nobody. */
import { ForgeError } from '../../errors.js';
import { readTemplate, renderTemplate } from '../../runtime/template.js';
import type { HostFacts } from '../facts.js';
import { type HostToCheck, lookAt } from '../look.js';
import { NEEDS_DEFAULT } from '../needs.js';
import { type HostShell, openShell } from '../shell.js';
import { PATHS, type TuneChange } from './change.js';
import { type Found, HostFiles } from './host-files.js';
import { DOCKER_FILES_SOFT, dockerFilesHard, HUGE_PAGES_MODE, planTune, type TunePlan } from './plan.js';
import { formatState, parseState, stateAfter, type TuneState } from './state.js';
import { planUndo, type UndoPlan } from './undo.js';

const LOCK = '/var/lib/redisforge/host-tune.lock';

export interface TuneOptions {
  /** Every command on the host by `sudo -n`. */
  readonly sudo?: boolean;
  /** The folder of a system that does not run: only its files are written. */
  readonly root?: string;
  readonly signal?: AbortSignal;
  readonly environment?: NodeJS.ProcessEnv;
}

/** A host that was looked at, with what would be changed. */
export interface Tuning<Plan> {
  readonly plan: Plan;
  readonly files: HostFiles;
  readonly facts: HostFacts;
  readonly state?: TuneState;
}

const words = (change: { readonly kind: string; readonly path: string; readonly name?: string }) =>
  change.name ?? change.path;

/** Files that may be written. */
const READ = [PATHS.sysctl, PATHS.unit, PATHS.dockerLimits, PATHS.unitLink] as const;

function stateOf(found: Found | undefined, files: HostFiles): TuneState | undefined {
  return found?.kind === 'file' ? parseState(found.text, files.shell.target.name) : undefined;
}

/** An image's kernel is not here: what is known is what every kernel begins with. */
function ofImage(facts: HostFacts): HostFacts {
  const sysctls = new Map([['net.ipv4.ip_local_port_range', '32768 60999']]);
  return { ...facts, sysctls, boot: [], systemd: 'installed', docker: { running: false, unit: 'docker.service' } };
}

async function open(
  host: HostToCheck,
  options: TuneOptions,
): Promise<{ shell: HostShell; files: HostFiles; facts: HostFacts }> {
  const shell = openShell(host.target, options);
  const facts = await lookAt(shell, { signal: options.signal });
  const files = new HostFiles(shell, options.root, options.signal);
  if (files.root === '') return { shell, files, facts };
  await files.requireRoot();
  return { shell, files, facts: ofImage(facts) };
}

/** Looks at the host and plans. Changes nothing. @throws ForgeError what looking and reading throw */
export async function prepareTune(host: HostToCheck, options: TuneOptions = {}): Promise<Tuning<TunePlan>> {
  const { shell, files, facts } = await open(host, options);
  const found = await files.readAll([PATHS.state, ...READ]);
  const state = stateOf(found.get(PATHS.state), files);
  const present = new Map<string, string>();
  const foreignLinks = new Set<string>();
  for (const path of READ) {
    const each = found.get(path);
    if (each?.kind === 'file') present.set(path, each.text);
    if (each?.kind === 'link') present.set(path, each.to);
    if (each?.kind === 'link' && path !== PATHS.unitLink) foreignLinks.add(path);
  }
  const limits = { soft: Math.min(DOCKER_FILES_SOFT, dockerFilesHard(facts)), hard: dockerFilesHard(facts) };
  const plan = planTune({
    host: shell.target.name,
    facts,
    needs: host.needs ?? NEEDS_DEFAULT,
    ...(state === undefined ? {} : { state }),
    files: present,
    foreignLinks,
    image: files.root !== '',
    unit: renderTemplate(await readTemplate('systemd/redisforge-huge-pages.service'), { mode: HUGE_PAGES_MODE }),
    dockerLimits: renderTemplate(await readTemplate('systemd/docker-limits.conf'), limits),
  });
  return { plan, files, facts, ...(state === undefined ? {} : { state }) };
}

/** @throws ForgeError `denied` for a user who is not root, with the command that helps */
function requireRoot({ facts, files }: Tuning<unknown>, command: string): void {
  if (facts.user === 0 || files.root !== '') return;
  const { name, ssh } = files.shell.target;
  throw new ForgeError('denied', `Only root may change settings of the kernel (${name}).`, {
    host: name,
    next:
      ssh === undefined
        ? `Run it as root: sudo ${command}`
        : `Log in there as root, or let forge call sudo: ${command} --sudo`,
  });
}

export interface AppliedStep {
  readonly host: string;
  readonly what: string;
}

interface Step {
  readonly what: string;
  run(): Promise<void>;
}

/** Stops at the first failure, and says what is done, what is not, and how to go on. */
async function carryOut(host: string, steps: readonly Step[], howOn: string): Promise<AppliedStep[]> {
  const done: AppliedStep[] = [];
  for (const step of steps) {
    try {
      await step.run();
    } catch (error) {
      if (!(error instanceof ForgeError) || done.length === 0) throw error;
      const rest = steps.slice(done.length + 1).map(({ what }) => what);
      const begun = done.map(({ what }) => what).join(', ');
      const missing = rest.length === 0 ? '' : ` Not begun: ${rest.join(', ')}.`;
      throw new ForgeError('partial', `${error.message} Done before: ${begun}.${missing}`, {
        host,
        next: [...error.next, howOn],
        cause: error,
        details: { done: done.map(({ what }) => what), failed: step.what, notBegun: rest },
      });
    }
    done.push({ host, what: step.what });
  }
  return done;
}

function stepOf(files: HostFiles, change: TuneChange): Step {
  const what = words(change);
  if (change.kind === 'live') return { what, run: () => files.setLive(change.path, change.to) };
  if (change.kind === 'link') return { what, run: () => files.link(change.path, change.to) };
  return { what, run: () => files.write(change.path, change.to) };
}

/** Whether systemd has to read its files again. */
function reload(files: HostFiles, paths: readonly string[]): Step[] {
  const services = paths.some((path) => path.startsWith('/etc/systemd/'));
  return files.root === '' && services ? [{ what: 'systemctl daemon-reload', run: () => files.reloadServices() }] : [];
}

/**
 * Applies a plan. The values from before are written down first, so that a run that is killed can be undone.
 * @throws ForgeError `denied` without root, `locked`, or, with what was done, `partial`
 */
export async function applyTune(tuning: Tuning<TunePlan>, command: string): Promise<AppliedStep[]> {
  const { plan, files, state } = tuning;
  if (plan.changes.length === 0) return [];
  requireRoot(tuning, command);
  return files.locked(LOCK, async () => {
    const paths = plan.changes.flatMap((change) => (change.kind === 'live' ? [] : [change.path]));
    const folders = await files.missingFolders(paths);
    const next = stateAfter(state, plan.changes, { at: new Date().toISOString(), folders });
    await files.write(PATHS.state, formatState(next), '600');
    const steps = [
      ...plan.changes.map((change) => stepOf(files, change)),
      ...reload(
        files,
        plan.changes.map(({ path }) => path),
      ),
    ];
    return carryOut(
      plan.host,
      steps,
      `Run it again when that is mended, or take back what was done: ${command} --undo`,
    );
  });
}

/** Looks what would be restored; undefined where nothing was tuned. */
export async function prepareUndo(host: HostToCheck, options: TuneOptions = {}): Promise<Tuning<UndoPlan> | undefined> {
  const { shell, files, facts } = await open(host, options);
  const found = await files.readAll([PATHS.state, ...READ]);
  const state = stateOf(found.get(PATHS.state), files);
  if (state === undefined) return undefined;
  const image = files.root !== '';
  const present = new Map<string, string>();
  const links = new Map<string, string>();
  for (const [path, each] of found) {
    if (each.kind === 'file') present.set(path, each.text);
    if (each.kind === 'link') links.set(path, each.to);
  }
  const values = image ? new Map<string, string>() : await files.live(state.live.map(({ path }) => path));
  const live = new Map(
    state.live.flatMap(({ name, path }) => {
      const value = values.get(path);
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
  return {
    plan: planUndo({ host: shell.target.name, state, live, files: present, links, image }),
    files,
    facts,
    state,
  };
}

/**
 * Restores what was there before, but for what somebody changed since. Afterwards nothing is kept any more; after a failure
 * all is, so that it can be run again.
 */
export async function applyUndo(tuning: Tuning<UndoPlan>, command: string): Promise<AppliedStep[]> {
  const { plan, files } = tuning;
  requireRoot(tuning, command);
  const steps = plan.steps.map((step): Step => {
    const what = words(step);
    if (step.kind === 'live') return { what, run: () => files.setLive(step.path, step.to) };
    if (step.kind === 'write') return { what, run: () => files.write(step.path, step.to) };
    return { what, run: () => files.remove(step.path) };
  });
  return files.locked(LOCK, async () => {
    const all = [
      ...steps,
      ...reload(
        files,
        plan.steps.map(({ path }) => path),
      ),
    ];
    const done = await carryOut(plan.host, all, `Run it again when that is mended: ${command}`);
    await files.removeFolders(tuning.state?.folders ?? []);
    await files.remove(PATHS.state);
    return done;
  });
}
