const DIGITS = 0x10000;

/** Columns of one table: a hash's halves and its host, row by row. */
interface Rows {
  readonly hi: Uint32Array;
  readonly lo: Uint32Array;
  readonly hosts: Uint16Array;
}

/** Moves rows from one table to the other, in the stable order of 16 bits of a column. */
function pass(from: Rows, to: Rows, column: Uint32Array, shift: number): void {
  const next = new Uint32Array(DIGITS + 1);
  const length = column.length;
  for (let i = 0; i < length; i++) next[((column[i] >>> shift) & 0xffff) + 1]++;
  for (let digit = 1; digit < DIGITS; digit++) next[digit] += next[digit - 1];
  for (let i = 0; i < length; i++) {
    const at = next[(column[i] >>> shift) & 0xffff]++;
    to.hi[at] = from.hi[i];
    to.lo[at] = from.lo[i];
    to.hosts[at] = from.hosts[i];
  }
}

/**
 * Sorts the entries of a ring by their 64-bit hashes, in place; equal hashes keep their order. A radix sort in four
 * passes of 16 bits: a comparing sort would need an object or a BigInt for each of up to 8,388,608 entries.
 */
export function sortRing(hi: Uint32Array, lo: Uint32Array, hosts: Uint16Array): void {
  const ring: Rows = { hi, lo, hosts };
  const other: Rows = {
    hi: new Uint32Array(hi.length),
    lo: new Uint32Array(lo.length),
    hosts: new Uint16Array(hosts.length),
  };
  pass(ring, other, ring.lo, 0);
  pass(other, ring, other.lo, 16);
  pass(ring, other, ring.hi, 0);
  pass(other, ring, other.hi, 16);
}
