#!/usr/bin/env -S node --import tsx
// Runs the commands from src/ without a build.
import { settings } from '@oclif/core/settings';

process.env.NODE_ENV = 'development';
settings.debug = true;
const { main } = await import('../src/main.ts');
await main(process.argv.slice(2), import.meta.url);
