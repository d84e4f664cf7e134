/**
 * Reads a configuration file: YAML (or JSON, which is YAML) by a schema, every fault with its line, and an unknown key
 * with the nearest right one. For the proxy's configuration and for forge.yaml. Pure.
 */
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import { nearest } from './nearest.js';
import { ConfigError, type ConfigProblem } from './problems.js';

/** A problem, by the keys and indices that lead to its place. */
export interface FurtherProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What is asked of a schema of zod or zod/mini. */
interface Schema<Config> {
  safeParse(
    value: unknown,
  ): { success: true; data: Config } | { success: false; error: { issues: readonly unknown[] } };
}

/**
 * Reads a configuration by its schema.
 * @param source the file's name, for messages
 * @param further finds what the settings alone do not tell to be wrong
 * @throws ConfigError naming line, key and, for an unknown key, the nearest right one
 */
export function parseYaml<Config>(
  text: string,
  source: string,
  schema: Schema<Config>,
  further: (config: Config) => readonly FurtherProblem[] = () => [],
): Config {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0) {
    throw new ConfigError(
      source,
      document.errors.map((error) => ({ path: '', message: error.message, ...place(error.pos[0]) })),
    );
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new ConfigError(source, [{ path: '', message: (error as Error).message, line: 0, column: 0 }]);
  }
  const result = schema.safeParse(value ?? {});
  if (result.success) {
    const problems = further(result.data).map(({ path, message }) => ({
      path: pathText(path),
      message,
      ...offsetOf(document, path, place),
    }));
    if (problems.length > 0) throw new ConfigError(source, problems);
    return result.data;
  }
  throw new ConfigError(
    source,
    result.error.issues.flatMap((issue) => problemsOf(issue as Issue, schema, value, place, document)),
  );
}

/**
 * Where things are in a text that was read already: for faults that are only found when other sources are known, too.
 * A path that is not there has the place of the nearest thing around it.
 */
export function placesIn(text: string): (path: readonly (string | number)[]) => { line: number; column: number } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
  return (path) =>
    offsetOf(document, path, (offset) => {
      const { line, col } = lines.linePos(offset);
      return { line, column: col };
    });
}

interface Issue {
  code: string;
  path: (string | number)[];
  message: string;
  keys?: string[];
}

type Place = (offset: number) => { line: number; column: number };

function problemsOf(
  issue: Issue,
  schema: unknown,
  value: unknown,
  place: Place,
  document: ReturnType<typeof parseDocument>,
): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys' && issue.keys !== undefined) {
    return issue.keys.map((key) => {
      const known = knownKeys(schema, issue.path);
      const guess = nearest(key, known);
      const hint = guess === null ? `known here: ${known.join(', ')}` : `did you mean '${guess}'?`;
      return {
        path: pathText([...issue.path, key]),
        message: `unknown setting; ${hint}`,
        ...placeOfKey(document, issue.path, key, place),
      };
    });
  }
  const missing = at(value, issue.path) === undefined;
  return [
    {
      path: pathText(issue.path),
      message: missing && issue.code === 'invalid_type' ? `missing (${issue.message})` : issue.message,
      ...offsetOf(document, issue.path, place),
    },
  ];
}

function at(value: unknown, path: readonly (string | number)[]): unknown {
  let current = value;
  for (const step of path) current = (current as Record<string | number, unknown> | null | undefined)?.[step];
  return current;
}

/** `listeners[0].address` */
export function pathText(path: readonly (string | number)[]): string {
  return path.map((step, i) => (typeof step === 'number' ? `[${step}]` : i === 0 ? step : `.${step}`)).join('');
}

/** The place of a path, or of the nearest thing around it. */
function offsetOf(document: ReturnType<typeof parseDocument>, path: readonly (string | number)[], place: Place) {
  for (let length = path.length; length >= 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as { range?: [number, number, number] } | undefined;
    if (node?.range) return place(node.range[0]);
  }
  return { line: 0, column: 0 };
}

/** What this file looks at in a schema (https://zod.dev/packages/core). */
interface SchemaNode {
  _zod: {
    def: {
      type?: string;
      innerType?: SchemaNode;
      shape?: Record<string, SchemaNode>;
      element?: SchemaNode;
      valueType?: SchemaNode;
      in?: SchemaNode;
      out?: SchemaNode;
      options?: readonly SchemaNode[];
    };
  };
}

/** The place of a key itself, not of what stands behind it. */
function placeOfKey(
  document: ReturnType<typeof parseDocument>,
  path: readonly (string | number)[],
  key: string,
  place: Place,
) {
  const map = path.length === 0 ? document.contents : document.getIn(path, true);
  if (isMap(map)) {
    for (const { key: node } of map.items) {
      if (isScalar(node) && String(node.value) === key && node.range) return place(node.range[0]);
    }
  }
  return offsetOf(document, path, place);
}

/** The settings that the schema knows at a path. */
function knownKeys(root: unknown, path: readonly (string | number)[]): string[] {
  let schema = root as SchemaNode | undefined;
  for (const step of path) {
    const { shape, element, valueType } = unwrap(schema);
    schema = typeof step === 'number' ? element : (shape?.[step] ?? valueType);
  }
  return Object.keys(unwrap(schema).shape ?? {});
}

/** Takes defaults, optionals and transformations before and after off a schema. */
function unwrap(schema: SchemaNode | undefined): SchemaNode['_zod']['def'] {
  let current = schema;
  for (;;) {
    const def = current?._zod.def;
    if (def?.innerType !== undefined) current = def.innerType;
    else if (def?.in !== undefined) current = def.in._zod.def.type === 'transform' ? def.out : def.in;
    // Of several, the one that has settings of its own: another is a word that switches it off.
    else if (def?.options !== undefined) current = def.options.find((option) => unwrap(option).shape !== undefined);
    else return def ?? {};
  }
}
