/** Durations as people write them in flags: `500ms`, `30s`, `2m`, `1h`, `7d`; a bare number is seconds. */
import { ForgeError } from '../errors.js';

const UNITS_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Bounds in milliseconds, both allowed. */
export interface DurationBounds {
  minMs?: number;
  maxMs?: number;
}

/**
 * Milliseconds of a duration such as `30s`.
 * @throws ForgeError `usage` when the text is none, or is out of bounds
 */
export function parseDuration(text: string, bounds: DurationBounds = {}): number {
  const { minMs = 1, maxMs = 24 * 3_600_000 } = bounds;
  const match = /^([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)?$/.exec(text.trim());
  if (match === null) {
    throw new ForgeError('usage', `"${text}" is no duration.`, { next: 'Write for example 500ms, 30s or 2m.' });
  }
  const ms = Math.round(Number(match[1]) * (UNITS_MS[match[2] ?? 's'] as number));
  if (ms < minMs || ms > maxMs) {
    throw new ForgeError('usage', `"${text}" is out of bounds.`, {
      next: `Take a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}.`,
    });
  }
  return ms;
}

/** The shortest exact way to write it: 90000 is `90s`, 120000 is `2m`. */
export function formatDuration(ms: number): string {
  for (const unit of ['h', 'm', 's']) {
    const size = UNITS_MS[unit] as number;
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}
