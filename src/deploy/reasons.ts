/** What is different between two descriptions of a container, in words for people. Pure. */

const REASONS_MAX = 8;
const VALUE_MAX = 80;

/** `memoryBytes 1073741824 → 2147483648`, a line for each field of which something differs. */
export function optionDifferences(before: string, after: string): string[] {
  const [old, now] = [fieldsOf(before), fieldsOf(after)];
  const names = [...new Set([...old.keys(), ...now.keys()])].sort();
  const reasons = names.flatMap((name) => {
    const [was, is] = [old.get(name), now.get(name)];
    return was === is ? [] : [`${name} ${was ?? 'unset'} → ${is ?? 'unset'}`];
  });
  if (reasons.length <= REASONS_MAX) return reasons;
  return [...reasons.slice(0, REASONS_MAX), `${reasons.length - REASONS_MAX} more`];
}

function fieldsOf(json: string): Map<string, string> {
  const fields = new Map<string, string>();
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return fields;
  }
  if (value === null || typeof value !== 'object') return fields;
  for (const [name, each] of Object.entries(value)) {
    const text = typeof each === 'string' ? each : JSON.stringify(each);
    fields.set(name, text.length > VALUE_MAX ? `${text.slice(0, VALUE_MAX)}…` : text);
  }
  return fields;
}
