/** Finds the longest of many prefixes: as many comparisons as the logarithm of their number. */
export class Prefixes {
  private readonly sorted: { readonly bytes: Uint8Array; readonly index: number }[];
  /** Of each: the longest other prefix that it begins with; -1 when there is none. */
  private readonly parents: Int32Array;

  /**
   * @param prefixes in any order, no two the same; in small letters when `folded`
   * @param folded the letters A to Z of what is looked up are taken for small ones
   */
  constructor(
    prefixes: readonly Uint8Array[],
    private readonly folded: boolean,
  ) {
    this.sorted = prefixes
      .map((bytes, index) => ({ bytes, index }))
      .sort((a, b) => this.compare(a.bytes, b.bytes, 0, b.bytes.length));
    this.parents = new Int32Array(prefixes.length).fill(-1);
    for (let i = 1; i < this.sorted.length; i++) {
      let parent = i - 1;
      const { bytes } = this.sorted[i];
      while (parent >= 0 && !this.begins(this.sorted[parent].bytes, bytes, 0, bytes.length)) {
        parent = this.parents[parent];
      }
      this.parents[i] = parent;
    }
  }

  /** The number of the longest prefix of `bytes[start, end)`, in the order that they were given in; -1: none. */
  find(bytes: Uint8Array, start: number, end: number): number {
    // The longest prefix is the last one that is not after the key, or one that this begins with.
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.compare(this.sorted[middle].bytes, bytes, start, end) <= 0) low = middle + 1;
      else high = middle;
    }
    for (let at = low - 1; at >= 0; at = this.parents[at]) {
      if (this.begins(this.sorted[at].bytes, bytes, start, end)) return this.sorted[at].index;
    }
    return -1;
  }

  private fold(byte: number): number {
    return this.folded && byte >= 65 && byte <= 90 ? byte | 32 : byte;
  }

  private compare(prefix: Uint8Array, bytes: Uint8Array, start: number, end: number): number {
    const common = Math.min(prefix.length, end - start);
    for (let i = 0; i < common; i++) {
      const difference = prefix[i] - this.fold(bytes[start + i]);
      if (difference !== 0) return difference;
    }
    return prefix.length - (end - start);
  }

  private begins(prefix: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start < prefix.length) return false;
    for (let i = 0; i < prefix.length; i++) if (prefix[i] !== this.fold(bytes[start + i])) return false;
    return true;
  }
}
