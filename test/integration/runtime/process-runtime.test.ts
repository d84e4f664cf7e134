import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identifyProcess } from '../../../src/runtime/process/identity.js';
import { ProcessRuntime } from '../../../src/runtime/process/process-runtime.js';
import { readRecord } from '../../../src/runtime/process/record.js';
import type { InstanceSpec } from '../../../src/runtime/runtime.js';
import { poll } from '../../support/redis.js';

const runtime = new ProcessRuntime();
let directory: string;
let spec: InstanceSpec;

/** An instance that is a shell script. */
function script(text: string): InstanceSpec {
  return {
    name: 'thing',
    directory,
    program: '/bin/sh',
    args: ['-c', text],
    env: { PATH: process.env['PATH'] ?? '' },
    files: [],
    restart: { delayS: 0, delayMaxS: 1, budget: 3, windowS: 60 },
  };
}

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-runtime-'));
});

afterEach(async () => {
  await runtime.stop({ name: 'thing', directory }, { graceMs: 2_000 });
  await rm(directory, { recursive: true });
});

/** What is true of processes only; the rest is in conformance.test.ts. */
describe('the process runtime', () => {
  it('identifies processes in shell as in TypeScript', async () => {
    spec = script('exec sleep 60');
    const { pid } = await runtime.start(spec);
    const record = await readRecord(path.join(directory, 'thing.run'));
    expect(record?.child).toEqual(await identifyProcess(pid!));
    expect(record?.supervisor).toEqual(await identifyProcess(record!.supervisor!.pid));
  });

  it('keeps its supervisor when the program is gone before it is looked at', async () => {
    const text = await readFile(path.join(import.meta.dirname, '..', '..', '..', 'templates', 'supervise.sh'), 'utf8');
    const identify = /^identify\(\) \{$[\s\S]*?^\}$/m.exec(text)?.[0];
    // Nothing can be read of it any more, though its file was there a moment ago.
    const gone = 'set -u; boot=b; read() { return 1; }';
    const { stdout } = await promisify(execFile)('sh', ['-c', `${gone}\n${identify}\nidentify $$\necho "$start"`]);
    expect(stdout).toBe('b:gone\n');
  });

  it('finds and stops an instance whose supervisor was killed', async () => {
    spec = script('exec sleep 60');
    const { pid } = await runtime.start(spec);
    const record = await readRecord(path.join(directory, 'thing.run'));
    process.kill(record!.supervisor!.pid, 'SIGKILL');
    await poll('nobody supervises', 5_000, async () => !(await runtime.inspect(spec)).supervised);
    expect(await runtime.inspect(spec)).toMatchObject({ phase: 'running', pid });
    expect(await runtime.stop(spec, { graceMs: 5_000 })).toBe('ended');
  });

  it('starts an instance that was given up, though its supervisor is only about to end', async () => {
    spec = script('exec sleep 60');
    const ending = spawn('sleep', ['0.7'], { stdio: 'ignore' });
    const { pid, start } = (await identifyProcess(ending.pid ?? 0)) ?? { pid: 0, start: '-' };
    const record = `state failed\nsupervisor ${pid} ${start}\nchild -\nrestarts 0\nlast_exit 7\n`;
    await writeFile(path.join(directory, 'thing.run'), record);
    expect(await runtime.start(spec)).toMatchObject({ phase: 'running', supervised: true });
    expect((await readRecord(path.join(directory, 'thing.run')))?.supervisor?.pid).not.toBe(pid);
  });

  it('leaves a process alone that merely has the recorded number', async () => {
    const stranger = { ...script('exec sleep 60'), name: 'stranger' };
    const { pid } = await runtime.start(stranger);
    spec = script('exec sleep 60');
    const record = `state running\nsupervisor ${pid} 00000000:1\nchild ${pid} 00000000:1\nrestarts 0\nlast_exit -\n`;
    await writeFile(path.join(directory, 'thing.run'), record);
    expect(await runtime.inspect(spec)).toMatchObject({ phase: 'lost' });
    expect(await runtime.stop(spec, { graceMs: 1_000 })).toBe('absent');
    expect(await runtime.inspect(stranger)).toMatchObject({ phase: 'running', pid });
    await runtime.stop(stranger, { graceMs: 2_000 });
  });
});
