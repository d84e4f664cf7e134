/** The repository under test: its folder, its files, its commands. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The files that are, or would be, in git. */
export function repositoryFiles(): string[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate', '-z'];
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`git ls-files failed: ${stderr}`);
  return stdout.split('\0').filter(Boolean);
}

/** A text file of the repository. */
export function readText(file: string): string {
  return readFileSync(path.join(ROOT, file), 'utf8');
}

export interface CommandEntry {
  id: string;
  hidden?: boolean;
  summary?: string;
  description?: string;
  examples?: unknown[];
  flags: Record<string, { description?: string; summary?: string; name: string }>;
  args: Record<string, { description?: string }>;
}

/** The public commands as the committed manifest has them. */
export function publicCommands(): CommandEntry[] {
  const { commands } = JSON.parse(readText('oclif.manifest.json')) as { commands: Record<string, CommandEntry> };
  return Object.values(commands).filter((command) => command.hidden !== true);
}

/** Pages whose examples in YAML are of forge.yaml; those of all others are of the proxy. */
export const FORGE_FILE_PAGES: readonly string[] = [
  'cloud.md',
  'deploy-monitoring.md',
  'deploy-proxy.md',
  'forge-yaml.md',
  'monitoring.md',
  'quickstart-one-host.md',
  'quickstart-three-hosts.md',
  'rebalance.md',
  'redis-settings.md',
  'rotate-logs.md',
];
