/** The labels by which everything of ours on an engine is known. Nothing without them is ever touched. */
export const LABELS = {
  /** The cluster that it belongs to, as forge.yaml names it. */
  cluster: 'io.redisforge.cluster',
  /** `redis`, `proxy`, `exporter`, … */
  role: 'io.redisforge.role',
  /** The name of the instance: of a container, and of every volume that is its own. */
  instance: 'io.redisforge.instance',
  /** The digest of what a container was made from. */
  spec: 'io.redisforge.spec',
  /** What a volume holds: `configuration` or `data`. */
  content: 'io.redisforge.content',
  /** Of an image: folders that belong to the user of our containers and to nobody else, divided by blanks. */
  owned: 'io.redisforge.owned',
} as const;

/** The value of `--filter` that finds what carries a label. */
export function labelFilter(label: string, value?: string): string {
  return value === undefined ? `label=${label}` : `label=${label}=${value}`;
}

/** `--label KEY=VALUE`, in the order of the keys, so that the same labels give the same line. */
export function labelArguments(labels: Readonly<Record<string, string>>): string[] {
  return Object.entries(labels)
    .sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0))
    .flatMap(([key, value]) => ['--label', `${key}=${value}`]);
}
