/** What runs on the Docker hosts, as a table. */
import type { Colors } from './colors.js';
import { renderTable } from './table.js';

type Wanted = 'unchanged' | 'create' | 'start' | 'live' | 'replace' | 'extra' | 'left' | 'other';

interface ContainerStatus {
  readonly node: string | null;
  readonly host: string;
  readonly container: string;
  readonly role: string;
  readonly image: string | null;
  readonly version: string | null;
  readonly phase: string;
  readonly startedAt: string | null;
  readonly restarts: number;
  readonly health: string | null;
  readonly memoryBytes: number | null;
  readonly memoryLimitBytes: number | null;
  readonly ports: readonly string[];
  readonly wanted: Wanted;
  readonly differences: readonly string[];
  readonly fault: string | null;
}

/** What is shown of a deployment's status. */
export interface ShownStatus {
  readonly containers: readonly ContainerStatus[];
  readonly hosts: readonly { readonly host: string; readonly message: string }[];
  readonly kept: readonly { readonly host: string; readonly volume: string; readonly content: string }[];
}

const MEBIBYTE = 1024 * 1024;
const SECOND_MS = 1_000;

/** Lines for people; what is not in order is below the table. @param now milliseconds */
export function deployStatusLines(status: ShownStatus, colors: Colors, now: number): string[] {
  const right = (title: string) => ({ title, align: 'right' as const });
  const heads = ['NODE', 'HOST', 'CONTAINER', 'IMAGE', 'VERSION', 'STATE', right('RESTARTS'), right('MEMORY'), 'PORTS'];
  const rows = status.containers.map((each) => [
    each.node ?? each.role,
    each.host,
    each.container,
    each.image ?? '-',
    each.version ?? '-',
    stateCell(each, colors, now),
    each.phase === 'absent' ? '-' : each.restarts,
    memoryCell(each),
    each.ports.join(' ') || '-',
    wantedCell(each, colors),
  ]);
  const table = rows.length === 0 ? ['There is no container.'] : [renderTable([...heads, 'WANTED'], rows)];
  return [
    ...table,
    ...status.containers.flatMap((each) => differenceLines(each)),
    ...status.hosts.map(({ host, message }) => colors.red(`${host}: ${message}`)),
    ...status.kept.map(
      ({ host, volume, content }) => `${host}: the volume ${volume} (${content}) is kept; no container has it`,
    ),
  ];
}

function stateCell({ phase, health, startedAt, fault }: ContainerStatus, colors: Colors, now: number): string {
  if (phase !== 'running') return colors.red(phase);
  const since = startedAt === null ? '' : ` ${age(now - Date.parse(startedAt))}`;
  const words = `${health ?? 'running'}${since}`;
  if (fault !== null) return colors.red(words);
  return health === 'starting' ? colors.yellow(words) : colors.green(words);
}

function memoryCell({ memoryBytes, memoryLimitBytes }: ContainerStatus): string {
  const megabytes = (bytes: number) => `${Math.round(bytes / MEBIBYTE)}`;
  if (memoryBytes === null) return '-';
  return memoryLimitBytes === null
    ? `${megabytes(memoryBytes)} MB`
    : `${megabytes(memoryBytes)}/${megabytes(memoryLimitBytes)} MB`;
}

const WORDS: Readonly<Record<ContainerStatus['wanted'], string>> = {
  unchanged: 'as wanted',
  create: 'to be made',
  start: 'to be started',
  live: 'to be set live',
  replace: 'to be replaced',
  extra: 'not in forge.yaml',
  left: 'left over',
  other: '-',
};

function wantedCell({ wanted }: ContainerStatus, colors: Colors): string {
  return wanted === 'unchanged' || wanted === 'other' ? WORDS[wanted] : colors.yellow(WORDS[wanted]);
}

function differenceLines({ container, host, fault, differences }: ContainerStatus): string[] {
  return [...(fault === null ? [] : [fault]), ...differences].map((line) => `${host}: ${container}: ${line}`);
}

/** The two largest units: `3d 4h`, `12m 5s`. Pure. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / SECOND_MS));
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return '0s';
  return parts
    .slice(first, first + 2)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ');
}
