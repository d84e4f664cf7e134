/** Structured values with parts exchanged, for tests of what reads them. */
import fc from 'fast-check';

type Path = (string | number)[];

/** Copies of `base` in which one to three parts, anywhere, are other values. */
export function mutations<T>(base: T, others: readonly unknown[] = []): fc.Arbitrary<T> {
  const odd = fc.oneof(
    fc.constantFrom<unknown>(
      ...[null, true, -1, 0, 1, 1e300, 1.5, '', 'x', 'a:1', '5s', '\n# a: b', [], {}, [[]], [null], '__proto__'],
      ...others,
    ),
    fc.jsonValue({ maxDepth: 2 }),
  );
  const places = paths(base);
  const changes = fc.array(fc.tuple(fc.nat(places.length - 1), odd), { minLength: 1, maxLength: 3 });
  return changes.map((list) => {
    const copy = structuredClone(base);
    for (const [place, value] of list) put(copy, places[place] as Path, structuredClone(value));
    return copy;
  });
}

function paths(value: unknown, at: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => {
    const path = [...at, Array.isArray(value) ? Number(key) : key];
    return [path, ...paths(each, path)];
  });
}

function put(root: unknown, path: Path, value: unknown): void {
  let current = root;
  for (const step of path.slice(0, -1)) {
    if (typeof current !== 'object' || current === null) return;
    current = (current as Record<string | number, unknown>)[step];
  }
  if (typeof current !== 'object' || current === null) return;
  (current as Record<string | number, unknown>)[path.at(-1) as string] = value;
}
