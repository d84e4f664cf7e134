/**
 * The nearest-rank percentile: the smallest sample that at least `fraction` of all samples do not exceed.
 * @param sorted ascending, not empty
 * @param fraction above 0, at most 1
 */
export function percentile(sorted: readonly number[], fraction: number): number {
  if (sorted.length === 0) throw new RangeError('no samples');
  const rank = Math.ceil(fraction * sorted.length);
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1] as number;
}
