import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { parseConfig } from '../../../src/proxy/config/load.js';
import { checkFaults } from '../../../src/proxy/server/faults.js';
import { checkUsers } from '../../../src/proxy/server/users.js';
import { FORGE_FILE_PAGES, ROOT, readText } from '../../support/repository.js';
import { allSettings } from '../../support/settings.js';

type Tree = Record<string, unknown>;

interface Example {
  readonly place: string;
  readonly text: string;
  readonly value: unknown;
}

/** forge.yaml has a schema of its own; the examples on these pages are tried where that is tested. */
const OTHER_FILES = new Set(FORGE_FILE_PAGES);

/** Every block of YAML on the pages, without the indentation of the list that it may stand in. */
const examples: Example[] = readdirSync(path.join(ROOT, 'docs'))
  .filter((file) => file.endsWith('.md') && !OTHER_FILES.has(file))
  .flatMap((file) => {
    const page = readText(`docs/${file}`);
    return [...page.matchAll(/^( *)```yaml\n([\s\S]*?)^ *```$/gm)].map(({ 1: indent = '', 2: block = '', index }) => {
      const text = block.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
      return { place: `docs/${file}:${page.slice(0, index).split('\n').length}`, text, value: parse(text) };
    });
  });

const KNOWN = new Set(allSettings().map((setting) => setting.path.split(/[.[]/)[0]));

/** What an example leaves out because it is about something else. */
function completed({ value }: Example): Tree {
  // A user, and the passwords of one.
  if (Array.isArray(value))
    return completedTop({ listeners: [{ address: '127.0.0.1:6379', cluster: 'main', users: value }] });
  const tree = value as Tree;
  if ('passwords' in tree)
    return completed({ place: '', text: '', value: [{ name: 'shop', rules: '+@all ~*', ...tree }] });
  return completedTop(tree);
}

function completedTop(tree: Tree): Tree {
  const { clusters = [{ name: 'main', endpoints: ['127.0.0.1:7001'] }] } = tree as { clusters?: { name: string }[] };
  const { listeners = [{ address: '127.0.0.1:6379', cluster: clusters[0]?.name }] } = tree;
  return { ...tree, clusters, listeners };
}

/** Paths of all that is given, as `allSettings` names them. */
function given(value: unknown, at = ''): string[] {
  if (Array.isArray(value)) return [`${at}[]`, ...value.flatMap((each) => given(each, `${at}[]`))];
  if (typeof value !== 'object' || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, each]) => given(each, at === '' ? key : `${at}.${key}`))];
}

const check = (text: string, source: string) =>
  parseConfig(text, source, (config) => [...checkUsers(config), ...checkFaults(config)]);

describe('the configurations in docs', () => {
  it('are all of the proxy', () => {
    expect(examples.length).toBeGreaterThan(15);
    const keys = examples.flatMap(({ value, place }) =>
      Array.isArray(value) ? [] : Object.keys(value as Tree).map((key) => ({ key, place })),
    );
    expect(keys.filter(({ key }) => !KNOWN.has(key) && key !== 'passwords')).toEqual([]);
  });

  it.each(examples.map((example) => [example.place, example] as const))('%s is one', (place, example) => {
    // As it is written, so that lines of errors are those of the page; or with what it leaves out.
    const tree = example.value as Tree;
    const whole = !Array.isArray(tree) && 'listeners' in tree && 'clusters' in tree;
    expect(() => check(whole ? example.text : stringify(completed(example)), place)).not.toThrow();
  });

  it('of configuration.md are complete, and have every setting between them', () => {
    const complete = examples.filter(({ place }) => place.startsWith('docs/configuration.md'));
    for (const { value } of complete)
      expect(Object.keys(value as Tree)).toEqual(expect.arrayContaining(['listeners', 'clusters']));
    const shown = new Set(complete.flatMap(({ value }) => given(value)));
    const missing = allSettings().filter(({ path: setting }) => !shown.has(setting));
    expect(missing.map((setting) => setting.path)).toEqual([]);
  });

  it('of configuration.md say which values are defaults, and rightly', () => {
    const defaults = new Map(
      allSettings().map(({ path: setting, fallback }) => [setting.split('.').at(-1) as string, fallback]),
    );
    const page = readText('docs/configuration.md');
    const marked = [...page.matchAll(/^[ -]*(\w+): (\S+) +# default/gm)].map(({ 1: key, 2: value }) => ({
      key,
      value,
    }));
    expect(marked.length).toBeGreaterThan(30);
    const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
    const wrong = marked.filter(({ key, value }) => {
      const fallback = defaults.get(key as string);
      if (fallback === undefined) return false;
      const [, number, unit] = /^(\d+)(ms|s|m|h)$/.exec(value as string) ?? [];
      return (
        String(fallback) !== (number === undefined ? value : String(Number(number) * (units[unit as string] as number)))
      );
    });
    expect(wrong).toEqual([]);
  });
});
