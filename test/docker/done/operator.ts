/** One who deploys: a folder with forge.yaml, secrets in the environment, and the built command line. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import { stringify } from 'yaml';
import type { TestDocker } from '../../support/docker/engine.js';
import { type ForgeResult, type RunningForge, startForge } from '../../support/forge.js';

export const SECRETS = {
  REDIS_REQUIREPASS: 'the "administrator’s" own 1',
  APP_PASSWORD: 'app secret 2',
  READ_PASSWORD: 'reader secret 3',
} as const;
/** The longest command: a cluster is rolled. */
const COMMAND_MS = 400_000;

/** What a command with `--json` prints, as far as these tests look at it. */
export interface Printed {
  status?: string;
  verdict?: string;
  nodes?: { action: string; rolling: boolean; reasons: string[] }[];
  proxies?: { action: string; reasons: string[] }[];
  findings?: { check: string; verdict: string; about: string; text: string }[];
  containers?: {
    action: string;
    container: string;
    node: string | null;
    role: string;
    phase: string;
    version?: string;
    wanted: string;
    fault: string | null;
  }[];
}

export class Operator {
  private constructor(
    readonly docker: TestDocker,
    readonly cluster: string,
    readonly folder: string,
  ) {}

  static async at(docker: TestDocker, cluster: string): Promise<Operator> {
    return new Operator(docker, cluster, await mkdtemp(path.join(os.tmpdir(), 'forge-done-')));
  }

  file(name: string): string {
    return path.join(this.folder, name);
  }

  read(name: string): Buffer {
    return readFileSync(this.file(name));
  }

  async writeForgeFile(content: object): Promise<void> {
    await writeFile(this.file('forge.yaml'), stringify(content));
  }

  /** Runs a command to its end; it must succeed, and print none of the secrets. */
  async run(...words: string[]): Promise<ForgeResult> {
    const result = await this.try(...words);
    expect(result.code, `forge ${words.join(' ')}\n${result.stdout}\n${result.stderr}`).toBe(0);
    return result;
  }

  start(...words: string[]): RunningForge {
    const env = { ...SECRETS, FORGE_HOME: this.file('home') };
    return startForge(words, { cwd: this.folder, limitMs: COMMAND_MS, env });
  }

  async try(...words: string[]): Promise<ForgeResult> {
    const started = performance.now();
    const result = await this.start(...words).ended;
    if (process.env['FORGE_TEST_TIMES']) {
      console.log(`${((performance.now() - started) / 1000).toFixed(1)} s  forge ${words.join(' ')}`);
    }
    for (const secret of Object.values(SECRETS)) expect(`${result.stdout}${result.stderr}`).not.toContain(secret);
    return result;
  }

  async json(...words: string[]): Promise<Printed> {
    return JSON.parse((await this.run(...words, '--json')).stdout) as Printed;
  }

  async list(...words: string[]): Promise<string[]> {
    return (await this.docker.run(words)).split('\n').filter(Boolean);
  }

  get label(): string {
    return `label=io.redisforge.cluster=${this.cluster}`;
  }

  /** Each container with the moment in which it was started: another one, or a restart, is another line. */
  async lives(role?: string): Promise<string[]> {
    const filters = [this.label, ...(role === undefined ? [] : [`label=io.redisforge.role=${role}`])];
    const ids = await this.list('ps', '-aq', ...filters.flatMap((filter) => ['--filter', filter]));
    if (ids.length === 0) return [];
    return (await this.list('inspect', '-f', '{{.Name}} {{.Id}} {{.State.StartedAt}}', ...ids)).sort();
  }

  /** Takes away everything of the cluster, also what a failed test has left. */
  async end(): Promise<void> {
    const filter = ['--filter', this.label];
    for (const id of await this.list('ps', '-aq', ...filter)) await this.docker.try(['rm', '-f', id]);
    for (const volume of await this.list('volume', 'ls', '-q', ...filter))
      await this.docker.try(['volume', 'rm', volume]);
    for (const network of await this.list('network', 'ls', '-q', ...filter))
      await this.docker.try(['network', 'rm', network]);
    await rm(this.folder, { recursive: true, force: true });
  }
}
