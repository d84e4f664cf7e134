/** Reads the imports of the TypeScript sources and judges them: circles, and directions that the design forbids. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Files by path relative to the repository, each with the specifiers that it imports. */
export type Imports = Map<string, string[]>;

const COMMENTS = /\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm;
const IMPORTS = [
  /\b(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/g,
  /\bimport\s*['"]([^'"]+)['"]/g,
  /\bimport\s*\(\s*['"]([^'"]+)['"]/g,
  /\bnew\s+URL\s*\(\s*['"](\.[^'"]+)['"]\s*,\s*import\.meta\.url/g,
];

const TYPE_ONLY = /\b(?:import|export)\s+type\b[^'"`;]*?\bfrom\s*['"][^'"]+['"]/g;

export interface ReadOptions {
  /** Leaves out `import type`, which is gone when the program runs. */
  runtimeOnly?: boolean;
}

/** What the source imports, as written: static, type-only, dynamic, and workers by URL. */
export function importsOf(source: string, { runtimeOnly = false }: ReadOptions = {}): string[] {
  const withoutComments = source.replace(COMMENTS, '');
  const code = runtimeOnly ? withoutComments.replace(TYPE_ONLY, '') : withoutComments;
  return IMPORTS.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] as string));
}

/** The imports of all TypeScript files below a folder of the repository. */
export function readImports(root: string, folder: string, options?: ReadOptions): Imports {
  const files = readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .map((file) => path.posix.join(folder, file.split(path.sep).join('/')))
    .sort();
  return new Map(files.map((file) => [file, importsOf(readFileSync(path.join(root, file), 'utf8'), options)]));
}

/** The file of the repository that a relative specifier means; undefined for packages and Node's own modules. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return path.posix.join(path.posix.dirname(from), specifier).replace(/\.js$/, '.ts');
}

/** Every circle once, as the list of files from the first back to the first. */
export function findCircles(imports: Imports): string[][] {
  const circles: string[][] = [];
  const done = new Set<string>();
  const visit = (file: string, trail: string[]): void => {
    const start = trail.indexOf(file);
    if (start !== -1) {
      circles.push([...trail.slice(start), file]);
      return;
    }
    if (done.has(file)) return;
    for (const specifier of imports.get(file) ?? []) {
      const target = resolveImport(file, specifier);
      if (target !== undefined && imports.has(target)) visit(target, [...trail, file]);
    }
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return circles;
}

export interface Layer {
  name: string;
  /** Folders (ending in a slash) and files of the layer. */
  paths: string[];
  /** Layers that it may import besides itself. */
  mayImport: string[];
  /** Packages and Node modules that it may import; everything when it is not given. */
  packages?: RegExp;
}

/** The layer of a file: the one with the longest matching path. */
export function layerOf(file: string, layers: readonly Layer[]): Layer | undefined {
  const matches = layers.flatMap((layer) =>
    layer.paths
      .filter((start) => (start.endsWith('/') ? file.startsWith(start) : file === start))
      .map((start) => ({ layer, length: start.length })),
  );
  return matches.sort((a, b) => b.length - a.length)[0]?.layer;
}

/** Every import against the rules, in words. */
export function findViolations(imports: Imports, layers: readonly Layer[]): string[] {
  const violations: string[] = [];
  for (const [file, specifiers] of imports) {
    const layer = layerOf(file, layers);
    if (layer === undefined) {
      violations.push(`${file} belongs to no layer: add its folder to the layers`);
      continue;
    }
    for (const specifier of specifiers) {
      const problem = judge(file, specifier, layer, imports, layers);
      if (problem !== undefined) violations.push(`${file} imports ${specifier}: ${problem}`);
    }
  }
  return violations;
}

function judge(
  file: string,
  specifier: string,
  layer: Layer,
  imports: Imports,
  layers: readonly Layer[],
): string | undefined {
  const target = resolveImport(file, specifier);
  if (target === undefined) {
    return layer.packages?.test(specifier) === false ? `${layer.name} may not use this package` : undefined;
  }
  if (!imports.has(target)) return undefined;
  const other = layerOf(target, layers);
  if (other === undefined || other === layer || layer.mayImport.includes(other.name)) return undefined;
  return `${layer.name} may not import ${other.name}, only ${layer.mayImport.join(', ') || 'itself'}`;
}
