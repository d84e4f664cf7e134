import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { findCircles, findViolations, type Imports, importsOf, readImports } from '../../support/import-graph.js';
import { LAYERS } from './layers.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const sources = readImports(root, 'src');

describe('the sources', () => {
  // A circle of types alone is gone when the program runs: two classes may know each other's shape.
  it('import each other without circles', () => {
    expect(findCircles(readImports(root, 'src', { runtimeOnly: true })).map((circle) => circle.join(' → '))).toEqual(
      [],
    );
  });

  it('import only in the directions of the design', () => {
    expect(findViolations(sources, LAYERS)).toEqual([]);
  });

  it('write to the terminal only from ui, the base command, and the proxy’s own program', () => {
    const allowed = /^src\/(ui\/|base-command\.ts|main\.ts|proxy\/server\/)/;
    const writers = [...sources.keys()].filter(
      (file) =>
        !allowed.test(file) &&
        /\bconsole\.\w+\(|\bprocess\.(stdout|stderr)\b/.test(readFileSync(path.join(root, file), 'utf8')),
    );
    expect(writers).toEqual([]);
  });

  it('stay small: no file above 400 lines but generated ones', () => {
    const long = [...sources.keys()]
      .filter((file) => !file.endsWith('.generated.ts'))
      .map((file) => [file, readFileSync(path.join(root, file), 'utf8').split('\n').length - 1] as const)
      .filter(([, lines]) => lines > 400);
    expect(long).toEqual([]);
  });
});

describe('the check itself', () => {
  const planted = (extra: Record<string, string[]>): Imports => new Map([...sources, ...Object.entries(extra)]);

  it('reads every form of import and no comments', () => {
    const source = `
      import a, { type B } from './a.js';
      import type { C } from "./c.js";
      import './side.js';
      export * from './e.js';
      export { f } from './f.js';
      const g = await import('./g.js');
      const w = new Worker(new URL('./w.ts', import.meta.url));
      // import x from './commented.js';
      /* import y from './commented-too.js'; */
      const link = 'https://example.com'; import z from './z.js';
    `;
    expect(importsOf(source).sort()).toEqual(
      ['./a.js', './c.js', './side.js', './e.js', './f.js', './g.js', './w.ts', './z.js'].sort(),
    );
  });

  it('tells imports of types alone from those that run', () => {
    const source = `import type { A } from './a.js'; import { b } from './b.js'; export type { C } from './c.js';`;
    expect(importsOf(source, { runtimeOnly: true })).toEqual(['./b.js']);
  });

  it('finds a planted circle and names its files', () => {
    const circles = findCircles(
      planted({
        'src/cluster/planted-a.ts': ['./planted-b.js'],
        'src/cluster/planted-b.ts': ['../local/planted-c.js'],
        'src/local/planted-c.ts': ['../cluster/planted-a.js'],
      }),
    );
    expect(circles).toContainEqual([
      'src/cluster/planted-a.ts',
      'src/cluster/planted-b.ts',
      'src/local/planted-c.ts',
      'src/cluster/planted-a.ts',
    ]);
  });

  it.each([
    ['src/proxy/engine/planted.ts', '../../errors.js', 'src/errors.ts'],
    ['src/proxy/engine/planted.ts', 'node:net', undefined],
    ['src/proxy/engine/planted.ts', 'zod', undefined],
    ['src/proxy/server/planted.ts', '../../errors.js', 'src/errors.ts'],
    ['src/cluster/planted.ts', '../ui/output.js', 'src/ui/output.ts'],
    ['src/cluster/planted.ts', '@oclif/core', undefined],
    ['src/smoke/planted.ts', 'listr2', undefined],
    ['src/runtime/planted.ts', '../cluster/target.js', 'src/cluster/target.ts'],
    ['src/commands/planted.ts', '../proxy/engine/target.js', 'src/proxy/engine/target.ts'],
    ['src/commands/planted.ts', '../proxy/server/target.js', 'src/proxy/server/target.ts'],
    ['src/local/planted.ts', '../commands/target.js', 'src/commands/target.ts'],
    ['src/elsewhere/planted.ts', 'node:fs', undefined],
  ])('refuses that %s imports %s', (file, specifier, target) => {
    const extra: Record<string, string[]> = { [file]: [specifier] };
    if (target !== undefined) extra[target] = sources.get(target) ?? [];
    expect(findViolations(planted(extra), LAYERS).some((violation) => violation.startsWith(file))).toBe(true);
  });
});
