#!/usr/bin/env node
// Runs the commands from src/ without a build: tsx compiles what is imported, and oclif looks for commands in src.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Plugin } from '@oclif/core';
import { settings } from '@oclif/core/settings';
import { register } from 'tsx/esm/api';

process.env.NODE_ENV = 'development';
settings.debug = true;
// oclif would read tsconfig.json through the compiler's JavaScript interface, which the native compiler does not have.
settings.enableAutoTranspile = false;
register();
const root = fileURLToPath(new URL('..', import.meta.url));
const pjson = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
pjson.oclif.commands = './src/commands';
// The manifest describes dist; the commands are read from their sources.
const plugin = new Plugin({ root, pjson, isRoot: true, ignoreManifest: true });
await plugin.load();
const { main } = await import('../src/main.ts');
await main(process.argv.slice(2), { root, pjson, plugins: new Map([[plugin.name, plugin]]) });
