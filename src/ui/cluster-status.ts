/** A cluster for people: shards and nodes as a table, slots as a bar. */
import type { Colors } from './colors.js';
import { renderSlotBar, shardLetter } from './slot-bar.js';
import { renderTable } from './table.js';

export interface ShownNode {
  readonly address: string;
  readonly role: string;
  readonly state: string;
  readonly zone: string | null;
  readonly version: string | null;
  readonly keys: number | null;
  readonly memoryBytes: number | null;
  readonly memoryMaxBytes: number | null;
  readonly opsPerSecond: number | null;
  readonly lagBytes: number | null;
}

export interface ShownShard {
  readonly slots: readonly { readonly start: number; readonly end: number }[];
  readonly slotCount: number;
  readonly nodes: readonly ShownNode[];
}

export interface ShownCluster {
  readonly masters: number;
  readonly replicas: number;
  readonly slotsServed: number;
  readonly keys: number;
  readonly memoryBytes: number;
  readonly opsPerSecond: number;
  readonly shards: readonly ShownShard[];
}

const SLOT_BAR_WIDTH = 64;
const RANGES_SHOWN_MAX = 2;
const KIB = 1024;
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `1.5 MiB`; `-` for unknown. */
export function bytesText(bytes: number | null): string {
  if (bytes === null) return '-';
  let value = bytes;
  let unit = 0;
  while (value >= KIB && unit < UNITS.length - 1) {
    value /= KIB;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

const countText = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`;
const numberText = (value: number | null) => (value === null ? '-' : value.toLocaleString('en'));

function slotsText({ slots, slotCount }: ShownShard): string {
  if (slotCount === 0) return '-';
  const ranges = slots.slice(0, RANGES_SHOWN_MAX).map(({ start, end }) => (start === end ? start : `${start}-${end}`));
  const more = slots.length - ranges.length;
  return `${ranges.join(' ')}${more > 0 ? ` +${more}` : ''} (${slotCount})`;
}

function memoryText({ memoryBytes, memoryMaxBytes }: ShownNode): string {
  const limit = memoryMaxBytes === null || memoryMaxBytes === 0 ? '' : ` of ${bytesText(memoryMaxBytes)}`;
  return `${bytesText(memoryBytes)}${limit}`;
}

/** Totals, the bar of the slots, and one line per node. */
export function clusterLines(cluster: ShownCluster, colors: Colors): string[] {
  const { masters, replicas, slotsServed, keys, memoryBytes, opsPerSecond, shards } = cluster;
  const spans = shards.flatMap(({ slots }, shard) => slots.map(({ start, end }) => ({ from: start, to: end, shard })));
  const zones = shards.some(({ nodes }) => nodes.some(({ zone }) => zone !== null));
  const right = (title: string) => ({ title, align: 'right' as const });
  const rows = shards.flatMap((shard, index) =>
    shard.nodes.map((node, place) => [
      shard.slotCount === 0 ? '-' : shardLetter(index),
      node.address,
      node.role,
      place === 0 ? slotsText(shard) : '-',
      numberText(node.keys),
      memoryText(node),
      numberText(node.opsPerSecond),
      bytesText(node.lagBytes),
      ...(zones ? [node.zone ?? '-'] : []),
      node.version ?? '-',
      stateText(node.state, colors),
    ]),
  );
  const columns = [
    ...['SHARD', 'ADDRESS', 'ROLE', 'SLOTS'],
    ...[right('KEYS'), right('MEMORY'), right('OPS/S'), right('LAG')],
    ...(zones ? ['ZONE'] : []),
    ...['VERSION', 'STATE'],
  ];
  return [
    `Cluster  ${countText(masters, 'master')}, ${countText(replicas, 'replica')}; ${numberText(keys)} keys, ${bytesText(memoryBytes)}, ${numberText(opsPerSecond)} ops/s`,
    `Slots    ${renderSlotBar(spans, SLOT_BAR_WIDTH)}  ${slotsServed} of 16384 served`,
    '',
    ...renderTable(columns, rows).split('\n'),
  ];
}

function stateText(state: string, { green, yellow, red }: Colors): string {
  if (state === 'ok') return green(state);
  return (state === 'dead' || state === 'silent' ? red : yellow)(state);
}
