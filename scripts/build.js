#!/usr/bin/env node
// Builds dist/ (tsc), bin/forge-proxy (bun build --compile) and oclif.manifest.json.
//   --cli    only dist/ and the manifest
//   --proxy  only the proxy's executable
import { spawnSync } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const only = new Set(process.argv.slice(2));
const wants = (part) => only.size === 0 || only.has(part);
const bin = (name) => path.join(root, 'node_modules', '.bin', name);

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (result.error) throw result.error;
  if (result.status !== 0) {
    console.error(`build: ${path.basename(command)} ${args.join(' ')} failed (${result.signal ?? result.status})`);
    process.exit(result.status || 1);
  }
}

if (wants('--cli')) {
  rmSync(path.join(root, 'dist'), { recursive: true, force: true });
  run(bin('tsc'), ['-p', 'tsconfig.json']);
  run(bin('oclif'), ['manifest']);
}

if (wants('--proxy')) {
  // npm may be set not to run install scripts; bun's own script puts its executable in place.
  if (!existsSync(path.join(root, 'node_modules', 'bun', 'bin', 'bun.exe'))) {
    run(process.execPath, [path.join(root, 'node_modules', 'bun', 'install.js')]);
  }
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const target = path.join(root, 'bin', `forge-proxy${suffix}`);
  const building = `${target}.building`;
  run(bin('bun'), [
    'build',
    '--compile',
    '--minify',
    '--sourcemap=none',
    path.join(root, 'src/proxy/server/main.ts'),
    path.join(root, 'src/proxy/server/worker.ts'),
    '--outfile',
    building,
  ]);
  // A running proxy keeps its old file; the new one appears whole or not at all.
  renameSync(building, target);
}
