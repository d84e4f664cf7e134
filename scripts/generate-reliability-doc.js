#!/usr/bin/env node
// Writes the figures of docs/reliability.md from the reports of the newest runs of `npm run test:drills`.
//
//   node scripts/generate-reliability-doc.js [RUNS]
//
// RUNS is how many of the newest runs count: 3 when not given.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderAbout, renderDrills, replaceFigures } from './reliability-doc.js';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const target = path.join(root, 'docs', 'reliability.md');
const folder = path.join(root, '.cache', 'drills');
const count = Number(process.argv[2] ?? 3);

const newest = readdirSync(folder)
  .map((name) => path.join(folder, name))
  .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)
  .slice(0, count);
const runs = newest.map((run) =>
  readdirSync(run)
    .sort()
    .map((file) => JSON.parse(readFileSync(path.join(run, file), 'utf8'))),
);
if (runs.flat().length === 0) throw new Error('there are no reports: npm run test:drills');
const text = `${renderAbout(runs)}\n\n${renderDrills(runs)}`;
writeFileSync(target, replaceFigures(readFileSync(target, 'utf8'), text));
