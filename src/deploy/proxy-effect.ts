/** Which changes of its configuration a proxy takes while it runs: docs/reload.md. Pure. */
import { parse } from 'yaml';
import type { FileChange, FileEffect } from './effect.js';
import { PROXY_CONFIG_FILE, PROXY_PROGRAM } from './proxy-container.js';

/** What of a configuration is taken at a start only. */
interface Fixed {
  readonly workers: unknown;
  readonly admin: unknown;
  readonly listeners: readonly unknown[];
}

/** @param control the path of its control socket, inside the container */
export function proxyEffect(changes: readonly FileChange[], control: string): FileEffect {
  const config = changes.find(({ path }) => path === PROXY_CONFIG_FILE);
  const reasons = config === undefined ? [] : fixedDifferences(config);
  if (reasons.length > 0) return { kind: 'replace', reasons };
  const shown = `reload: ${changes.map(({ path }) => path).join(', ')}`;
  return { kind: 'live', changes: [{ to: 'program', words: [PROXY_PROGRAM, '--reload', control], shown }] };
}

function fixedDifferences({ before, after }: FileChange): string[] {
  if (before === undefined || after === undefined) return ['its configuration comes or goes'];
  const [old, now] = [fixedOf(before), fixedOf(after)];
  return (['workers', 'admin', 'listeners'] as const).flatMap((name) =>
    JSON.stringify(old[name]) === JSON.stringify(now[name])
      ? []
      : [`${name} is another, which is taken at a start only`],
  );
}

function fixedOf(text: string): Fixed {
  let value: unknown;
  try {
    value = parse(text);
  } catch {
    value = undefined;
  }
  const { workers, admin, listeners } = (value ?? {}) as { workers?: unknown; admin?: unknown; listeners?: unknown };
  const all = Array.isArray(listeners) ? listeners : [];
  return {
    workers: workers ?? null,
    admin: admin ?? null,
    listeners: all.map((each: Record<string, unknown> | null) => [
      each?.['address'] ?? null,
      each?.['additional_addresses'] ?? null,
      each?.['tls_context'] !== undefined,
    ]),
  };
}
