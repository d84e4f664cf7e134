import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../support/repository.js';

const run = promisify(execFile);
const dev = (...args: string[]) => run(process.execPath, [path.join(ROOT, 'bin/dev.js'), ...args], { timeout: 60_000 });

describe('bin/dev.js', () => {
  it('runs the commands from their sources, from wherever it is called', async () => {
    const { stdout } = await dev('init-cluster', '--help');
    expect(stdout).toContain('--replicas-per-master');
  });

  it('ends with the exit code of the command', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'forge-dev-'));
    try {
      const file = path.join(folder, 'proxy.yaml');
      await writeFile(file, 'listeners: nonsense\n');
      await expect(dev('proxy', 'check', '--config', file)).rejects.toMatchObject({ code: 3 });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
