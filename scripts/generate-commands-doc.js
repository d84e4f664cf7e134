#!/usr/bin/env node
// Writes the table of docs/commands.md from the code that serves the commands.
//
//   node scripts/generate-commands-doc.js [--check]
//
// --check writes nothing and fails when the committed page differs.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { tsImport } from 'tsx/esm/api';
import { renderTable, replaceTable } from './commands-doc.js';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const target = path.join(root, 'docs', 'commands.md');

const { commandTable } = await tsImport('../src/proxy/engine/broadcast/described.ts', import.meta.url);
const page = readFileSync(target, 'utf8');
const text = replaceTable(page, renderTable(commandTable()));
if (!process.argv.includes('--check')) writeFileSync(target, text);
else if (text !== page) {
  console.error('docs/commands.md is not current: node scripts/generate-commands-doc.js');
  process.exitCode = 1;
}
