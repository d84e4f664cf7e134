/** The median; of an even number the mean of the middle two. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The median of each field over several records. */
export function medians(records) {
  return Object.fromEntries(
    Object.keys(records[0]).map((field) => {
      const values = records.map((record) => record[field]).filter((value) => value !== undefined);
      return [field, values.length > 0 ? median(values) : undefined];
    }),
  );
}

/** The nearest-rank percentile of ascending samples. */
export function percentile(sorted, fraction) {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(fraction * sorted.length) - 1))];
}
