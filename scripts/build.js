#!/usr/bin/env node
// @ts-check
// Builds dist/ and oclif.manifest.json (the command line) and bin/forge-proxy (the proxy).
//   --cli      only the command line
//   --proxy    only the proxy's executable
//   --stale    only what is out of date
import path from 'node:path';
import { parseArgs } from 'node:util';
import { buildCli } from './build/cli.js';
import { isStale } from './build/parts.js';
import { buildProxy } from './build/proxy.js';
import { EXIT, report, SetupFailure } from './support/failure.js';
import { withLock } from './support/lock.js';
import { CACHE } from './support/paths.js';

const BUILDERS = { cli: buildCli, proxy: buildProxy };
const NAMES = { cli: 'the command line', proxy: 'the proxy' };

function parse() {
  const boolean = /** @type {const} */ ({ type: 'boolean', default: false });
  try {
    return parseArgs({ options: { cli: boolean, proxy: boolean, stale: boolean } }).values;
  } catch (error) {
    throw new SetupFailure(/** @type {Error} */ (error).message, { exitCode: EXIT.usage });
  }
}

try {
  const flags = parse();
  const parts = /** @type {const} */ (['cli', 'proxy']).filter((part) => flags[part] || !(flags.cli || flags.proxy));
  await withLock(path.join(CACHE, 'build.lock'), async () => {
    for (const part of parts) {
      if (flags.stale && !isStale(part)) continue;
      const started = Date.now();
      await BUILDERS[part]();
      console.error(`build: ${NAMES[part]} built in ${((Date.now() - started) / 1000).toFixed(1)} s`);
    }
  });
} catch (error) {
  process.exitCode = report('build', error);
}
