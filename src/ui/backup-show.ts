/** One backup for people: all that its manifest says. */
import { agoText, paintState, type ShownBackup } from './backup-list.js';
import { bytesText } from './cluster-status.js';
import type { Colors } from './colors.js';
import { printable } from './printable.js';
import { renderTable } from './table.js';

interface ShownObject {
  readonly name: string;
  readonly bytes: number;
  readonly plainBytes: number;
  readonly sha256: string;
}

/** The manifest, with slots in words. */
export interface ShownManifest {
  readonly forge: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly compression: string;
  readonly cipher?: string;
  readonly currentEpoch: number;
  readonly shards: readonly {
    readonly master: string;
    readonly slots: string;
    readonly source: string;
    readonly role: string;
    readonly server: string;
    readonly kind: string;
    readonly offset: number;
    readonly startedAt: string;
    readonly finishedAt: string;
    readonly keys: number;
    readonly object: ShownObject;
  }[];
  readonly nodes: readonly {
    readonly id: string;
    readonly address: string;
    readonly role: string;
    readonly slots: string;
    readonly master: string;
    readonly configEpoch: number;
  }[];
  readonly missing: readonly { readonly address: string; readonly slots: string; readonly reason: string }[];
  readonly moving: string;
  readonly settings?: ShownObject;
}

export interface ShownDetails {
  readonly place: string;
  readonly summary: ShownBackup;
  readonly manifest?: ShownManifest;
  readonly promises: readonly string[];
  readonly keptBy?: string;
}

const SHORT_ID = 8;
const SUM_SHOWN = 16;
const right = (title: string) => ({ title, align: 'right' as const });

/** Everything, in paragraphs. */
export function detailLines(
  { place, summary, manifest, promises, keptBy }: ShownDetails,
  colors: Colors,
  nowMs: number,
) {
  const { id, cluster, at, state, active, bytes, encrypted, sealed, verified, problem } = summary;
  const facts: [string, string | undefined][] = [
    ['Backup', `${cluster}/${id} in ${place}`],
    ['State', `${paintState(state, colors)}${active && state !== 'running' ? ', somebody is at work on it' : ''}`],
    ['Problem', problem === undefined ? undefined : colors.red(printable(problem))],
    ['Begun', `${at} (${agoText(at, nowMs)} ago)`],
    ['Finished', manifest?.finishedAt],
    ['Made by', manifest === undefined ? undefined : `forge ${printable(manifest.forge)}`],
    ['In the store', bytesText(bytes)],
    ['Compression', manifest?.compression],
    ['Encryption', encryption(encrypted, manifest?.cipher, sealed)],
    ['Seal', sealed ? 'right' : encrypted ? 'not checked: no key, or another one' : undefined],
    ['Kept', keptBy === undefined ? (summary.kept ? 'yes' : 'no') : printable(keptBy)],
    [
      'Verified',
      verified === undefined ? 'never' : `${verified.at} (${verified.how}): ${verified.good ? 'good' : 'damaged'}`,
    ],
    ['Epoch', manifest === undefined ? undefined : String(manifest.currentEpoch)],
  ];
  const width = Math.max(...facts.map(([name]) => name.length)) + 2;
  const lines = facts.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(width)}${value}`]));
  if (manifest === undefined) return lines;
  return [
    ...lines,
    ...section('Shards', colors, shardTable(manifest)),
    ...section('Objects', colors, objectTable(manifest)),
    ...section('Nodes', colors, nodeTable(manifest)),
    ...(manifest.missing.length === 0 ? [] : section('Not in it', colors, missingTable(manifest))),
    ...(manifest.moving === '' ? [] : section('Slots that were on their way', colors, manifest.moving)),
    ...section('What is promised', colors, promises.map((promise) => `- ${promise}`).join('\n')),
  ];
}

function encryption(encrypted: boolean | undefined, cipher: string | undefined, sealed: boolean): string | undefined {
  if (encrypted === undefined) return undefined;
  if (!encrypted) return 'none';
  return `${cipher ?? ''}${sealed ? '' : ' (needs its key)'}`;
}

function section(title: string, colors: Colors, text: string): string[] {
  return ['', colors.bold(title), ...text.split('\n')];
}

function shardTable({ shards }: ShownManifest): string {
  const rows = shards.map((shard) => [
    printable(shard.master),
    shard.slots,
    shard.keys.toLocaleString('en'),
    `${printable(shard.source)} (${shard.role}, ${shard.kind})`,
    printable(shard.server),
    shard.offset,
    shard.startedAt,
    shard.finishedAt,
  ]);
  return renderTable(
    ['MASTER', 'SLOTS', right('KEYS'), 'READ FROM', 'SERVER', right('OFFSET'), 'INSTANT', 'READ UNTIL'],
    rows,
  );
}

function objectTable({ shards, settings }: ShownManifest): string {
  const objects = [...shards.map(({ object }) => object), ...(settings === undefined ? [] : [settings])];
  const rows = objects.map(({ name, bytes, plainBytes, sha256 }) => [
    name,
    bytesText(bytes),
    bytesText(plainBytes),
    `${sha256.slice(0, SUM_SHOWN)}…`,
  ]);
  return renderTable(['NAME', right('STORED'), right('HOLDS'), 'SHA-256'], rows);
}

function nodeTable({ nodes }: ShownManifest): string {
  const rows = nodes.map(({ id, address, role, slots, master, configEpoch }) => [
    id.slice(0, SHORT_ID),
    printable(address),
    role,
    slots === '' ? '-' : slots,
    master === '' ? '-' : printable(master),
    configEpoch,
  ]);
  return renderTable(['ID', 'ADDRESS', 'ROLE', 'SLOTS', 'OF MASTER', right('EPOCH')], rows);
}

function missingTable({ missing }: ShownManifest): string {
  const rows = missing.map(({ address, slots, reason }) => [printable(address), slots, printable(reason)]);
  return renderTable(['MASTER', 'SLOTS', 'WHY'], rows);
}
