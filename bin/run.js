#!/usr/bin/env node
import { existsSync } from 'node:fs';

const entry = new URL('../dist/main.js', import.meta.url);
if (!existsSync(entry)) {
  console.error('Error: forge is not built yet.\n  → Run: npm ci && npm run build');
  process.exit(10);
}
const { main } = await import(entry.href);
await main(process.argv.slice(2), import.meta.url);
