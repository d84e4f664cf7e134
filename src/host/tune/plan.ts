/** What `forge host tune` would change on a host. Pure. */
import type { HostFacts } from '../facts.js';
import type { HostNeeds } from '../needs.js';
import { atBoot } from '../rules/boot.js';
import { isRight, type KernelSetting, SETTINGS } from '../settings.js';
import {
  type FileChange,
  HUGE_PAGES,
  HUGE_PAGES_FILE,
  type Impossible,
  type LinkChange,
  type LiveChange,
  PATHS,
  sysctlPath,
  type TuneChange,
} from './change.js';
import type { TuneState } from './state.js';

export interface TunePlan {
  readonly host: string;
  /** In the order in which they are made: the running kernel first, then what is read at the next start. */
  readonly changes: readonly TuneChange[];
  readonly impossible: readonly Impossible[];
  /** What the operator should know besides. */
  readonly remarks: readonly string[];
}

export interface TuneInput {
  readonly host: string;
  readonly facts: HostFacts;
  readonly needs: HostNeeds;
  readonly state?: TuneState;
  /** Content of the files that may be written, where they are there. */
  readonly files: ReadonlyMap<string, string>;
  /** Those among them that are links to something else: left alone. */
  readonly foreignLinks: ReadonlySet<string>;
  /** For a system that does not run, below another root: its files only. */
  readonly image: boolean;
  /** templates/systemd, filled in. */
  readonly unit: string;
  readonly dockerLimits: string;
}

/** The huge pages' mode that is set: programs that ask for them keep theirs. */
export const HUGE_PAGES_MODE = 'madvise';
export const DOCKER_FILES_SOFT = 65_536;
const DOCKER_FILES = 1_048_576;

/** A limit above `fs.nr_open` would keep the service from starting. */
export function dockerFilesHard({ sysctls }: HostFacts): number {
  const most = Number(sysctls.get('fs.nr_open') ?? DOCKER_FILES);
  return Number.isFinite(most) ? Math.min(DOCKER_FILES, most) : DOCKER_FILES;
}

interface Chosen {
  readonly setting: KernelSetting;
  /** What the file says. */
  readonly value: string;
  readonly live?: LiveChange;
}

/** A key that is wrong now, will be at the next start, or was put right by an earlier run. */
function choose(input: TuneInput, setting: KernelSetting): Chosen | undefined {
  const { facts, needs, state, image } = input;
  const { key } = setting;
  const now = facts.sysctls.get(key);
  if (image) {
    const value = setting.target(undefined, facts, needs);
    return setting.forImages && value !== '' ? { setting, value } : undefined;
  }
  if (now === undefined) return undefined;
  const right = isRight(setting, now, facts, needs);
  const value = right ? now : setting.target(now, facts, needs);
  const kept = state?.live.some(({ name }) => name === key) === true;
  const later = atBoot(facts).get(key);
  const wrongLater = later !== undefined && later.file !== PATHS.sysctl && !isRight(setting, later.value, facts, needs);
  if (right) return kept || wrongLater ? { setting, value } : undefined;
  const live: LiveChange = {
    kind: 'live',
    name: key,
    path: sysctlPath(key),
    before: now,
    to: value,
    why: setting.comment,
  };
  return { setting, value, live };
}

/** The file of the kernel's settings; undefined when there is nothing to keep. */
export function sysctlFile(
  chosen: readonly { setting: Pick<KernelSetting, 'key' | 'comment'>; value: string }[],
): string {
  const lines = chosen.flatMap(({ setting, value }) => ['', `# ${setting.comment}`, `${setting.key} = ${value}`]);
  return ['# Written by forge host tune; forge host tune --undo restores what was here before.', ...lines, ''].join(
    '\n',
  );
}

function writableNow({ facts, image }: TuneInput, name: string): boolean {
  // Whoever is not root may write none of them: that is told of the whole command.
  return image || facts.user !== 0 || facts.writable.has(name);
}

function fileChange(input: TuneInput, path: string, to: string, why: string): FileChange | undefined {
  const before = input.files.get(path);
  return before === to ? undefined : { kind: 'file', path, ...(before === undefined ? {} : { before }), to, why };
}

function hugePages(input: TuneInput): TuneChange[] {
  const { facts, state, image, files } = input;
  const live: LiveChange[] =
    !image && facts.hugePages === 'always'
      ? [
          {
            kind: 'live',
            name: HUGE_PAGES,
            path: HUGE_PAGES_FILE,
            before: 'always',
            to: HUGE_PAGES_MODE,
            why: 'A write after a fork copies 4 KiB instead of 2 MiB.',
          },
        ]
      : [];
  const kept = state?.files.some(({ path }) => path === PATHS.unit) === true;
  if (!kept && live.length === 0 && !image) return [];
  if (facts.systemd === 'none' && !image) return live;
  const unit = fileChange(input, PATHS.unit, input.unit, 'The same at every start.');
  const link: LinkChange[] = files.has(PATHS.unitLink)
    ? []
    : [{ kind: 'link', path: PATHS.unitLink, to: '../redisforge-huge-pages.service', why: 'The unit is started.' }];
  return [...live, ...(unit === undefined ? [] : [unit]), ...link];
}

function dockerLimits(input: TuneInput): TuneChange[] {
  const { facts, needs, state, image } = input;
  const limit = facts.docker.filesHard;
  const low = limit !== undefined && limit < needs.filesPerNode;
  const kept = state?.files.some(({ path }) => path === PATHS.dockerLimits) === true;
  if (facts.docker.unit === undefined || !(low || kept || image)) return [];
  const change = fileChange(
    input,
    PATHS.dockerLimits,
    input.dockerLimits,
    'Containers inherit docker’s limit on open files.',
  );
  return change === undefined ? [] : [change];
}

/** Settings of the bash suite that are not taken over. */
function leftOut(before: string | undefined, chosen: readonly Chosen[]): string[] {
  if (before === undefined) return [];
  const keys = [...before.matchAll(/^\s*-?([a-z][\w./-]*)\s*=/gm)].map(([, key = '']) => key.replaceAll('/', '.'));
  return keys.filter((key) => !chosen.some(({ setting }) => setting.key === key));
}

const baseName = (path: string) => path.slice(path.lastIndexOf('/') + 1);

function remarksOf(input: TuneInput, chosen: readonly Chosen[], changes: readonly TuneChange[]): string[] {
  const { facts, needs, state, image } = input;
  const remarks: string[] = [];
  const last = atBoot(facts);
  for (const { setting } of chosen) {
    const later = last.get(setting.key);
    if (image || later === undefined || baseName(later.file) <= baseName(PATHS.sysctl)) continue;
    if (isRight(setting, later.value, facts, needs)) continue;
    remarks.push(
      `${later.file} is read later and sets ${setting.key} to ${later.value} at the next start: take that line out.`,
    );
  }
  const sysctl = changes.find((change) => change.kind === 'file' && change.path === PATHS.sysctl);
  const ours = state?.files.some(({ path }) => path === PATHS.sysctl) === true;
  if (sysctl?.kind === 'file' && !ours) {
    const gone = leftOut(sysctl.before, chosen);
    if (gone.length > 0) {
      remarks.push(
        `${PATHS.sysctl} is there already; it is kept for --undo. From the next start on, the kernel's own values hold for: ${gone.join(', ')}.`,
      );
    }
  }
  const paths = changes.map(({ path }) => path);
  if (paths.includes(HUGE_PAGES_FILE) && facts.systemd === 'none') {
    remarks.push('There is no systemd: huge pages are set now, and are what they were after the next start.');
  }
  if (paths.includes(HUGE_PAGES_FILE))
    remarks.push('Servers that run keep the huge pages that they have until they are restarted.');
  if (paths.includes(sysctlPath('net.core.somaxconn'))) {
    remarks.push('Servers that run listen with the old queue until they are restarted: forge cluster restart.');
  }
  if (paths.includes(PATHS.dockerLimits) && !image) {
    remarks.push(
      'Docker takes its new limit at its next start: systemctl restart docker stops containers unless live-restore is on.',
    );
  }
  return remarks;
}

export function planTune(input: TuneInput): TunePlan {
  const { host, facts, foreignLinks } = input;
  if (facts.system !== 'Linux') {
    return { host, changes: [], impossible: [{ name: facts.system, why: 'only Linux is tuned' }], remarks: [] };
  }
  const impossible: Impossible[] = [];
  const readOnly = (name: string) => {
    impossible.push({
      name,
      why: facts.inContainer
        ? 'it is read-only in this container: set it on the host'
        : 'it is read-only here, as in a container or a namespace: set it where the kernel is yours',
    });
  };
  const chosen = SETTINGS.flatMap((setting) => {
    const each = choose(input, setting);
    if (each === undefined) return [];
    if (each.live !== undefined && !writableNow(input, setting.key)) {
      readOnly(setting.key);
      return [];
    }
    return [each];
  });
  const live = chosen.flatMap((each) => (each.live === undefined ? [] : [each.live]));
  const sysctl =
    chosen.length === 0 ? undefined : fileChange(input, PATHS.sysctl, sysctlFile(chosen), 'The same at every start.');
  let pages = hugePages(input);
  if (pages.some(({ kind }) => kind === 'live') && !writableNow(input, HUGE_PAGES)) {
    readOnly(HUGE_PAGES);
    pages = [];
  }
  const wanted: TuneChange[] = [
    ...live,
    ...pages.filter(({ kind }) => kind === 'live'),
    ...(sysctl === undefined ? [] : [sysctl]),
    ...pages.filter(({ kind }) => kind !== 'live'),
    ...dockerLimits(input),
  ];
  const changes = wanted.filter((change) => {
    if (change.kind !== 'file' || !foreignLinks.has(change.path)) return true;
    impossible.push({ name: change.path, why: 'it is a link to something else, which is left alone' });
    return false;
  });
  return { host, changes, impossible, remarks: remarksOf(input, chosen, changes) };
}
