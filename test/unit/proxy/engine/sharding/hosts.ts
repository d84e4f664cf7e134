import { MURMUR2, murmur2 } from '../../../../../src/proxy/engine/hash/murmur2-64.js';
import { HI, LO } from '../../../../../src/proxy/engine/hash/uint64.js';
import type { HashHost } from '../../../../../src/proxy/engine/sharding/hosts.js';
import type { KeySpace } from '../../../../../src/proxy/engine/sharding/key-space.js';

/** `127.0.0.1:<first>` and the ports after it, as Envoy's own tests name their hosts. */
export function ports(first: number, weights: readonly number[]): HashHost[] {
  return weights.map((weight, i) => ({ key: `127.0.0.1:${first + i}`, weight }));
}

/** That many hosts of one weight. */
export function servers(count: number): HashHost[] {
  return Array.from({ length: count }, (_, i) => ({ key: `10.0.${i >> 8}.${i & 255}:6379` }));
}

/** A list in a fixed order that is not the sorted one. */
export function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item, i) => ({ item, at: Math.imul(i + 1, 0x9e3779b1) >>> 0 }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** How often each host stands in a table. */
export function tally(table: Uint16Array, hosts: number): number[] {
  const counts = new Array<number>(hosts).fill(0);
  for (const host of table) counts[host]++;
  return counts;
}

/** The largest deviation of counts from what the weights promise, relative to that. */
export function worstDeviation(counts: readonly number[], weights: readonly number[]): number {
  const all = counts.reduce((sum, count) => sum + count, 0);
  const weight = weights.reduce((sum, one) => sum + one, 0);
  return Math.max(...counts.map((count, i) => Math.abs(count / ((all * weights[i]) / weight) - 1)));
}

/** The 64-bit MurmurHash2 of a text. */
export function murmur(text: string): bigint {
  const bytes = Buffer.from(text);
  murmur2(bytes, 0, bytes.length);
  return (BigInt(MURMUR2[HI]) << 32n) | BigInt(MURMUR2[LO]);
}

export function slotOf(space: KeySpace, key: string): number {
  const bytes = Buffer.from(key);
  return space.slotOf(bytes, 0, bytes.length);
}

/** The host of each key of a long list, by a key space and its table. */
export function placement(space: KeySpace, hosts: Uint16Array, keys: number): Uint16Array {
  return Uint16Array.from({ length: keys }, (_, i) => hosts[slotOf(space, `user:${i}`)]);
}

/** Of what changed between two placements: all of it, and what went to another host than the new one. */
export function moves(before: Uint16Array, after: Uint16Array, added: number): { moved: number; needless: number } {
  let moved = 0;
  let needless = 0;
  for (let i = 0; i < before.length; i++) {
    if (before[i] === after[i]) continue;
    moved++;
    if (after[i] !== added) needless++;
  }
  return { moved: moved / before.length, needless: needless / before.length };
}
