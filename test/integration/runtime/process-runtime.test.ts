import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
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
function script(text: string, restart: Partial<InstanceSpec['restart']> = {}): InstanceSpec {
  return {
    name: 'thing',
    directory,
    program: '/bin/sh',
    args: ['-c', text],
    env: { PATH: process.env['PATH'] ?? '' },
    files: [],
    restart: { delayS: 0, delayMaxS: 1, budget: 3, windowS: 60, ...restart },
  };
}

const phase = (wanted: string) =>
  poll(`phase ${wanted}`, 10_000, async () => {
    const state = await runtime.inspect(spec);
    return state.phase === wanted ? state : undefined;
  });

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-runtime-'));
});

afterEach(async () => {
  await runtime.stop({ name: 'thing', directory }, { graceMs: 2_000 });
  await rm(directory, { recursive: true });
});

describe('the process runtime', () => {
  it('knows nothing of an instance that was never started', async () => {
    spec = script('exec sleep 60');
    expect(await runtime.inspect(spec)).toEqual({ phase: 'absent', supervised: false, restarts: 0 });
    expect(await runtime.stop(spec, { graceMs: 1_000 })).toBe('absent');
  });

  it('starts an instance once, with its files, and stops it', async () => {
    spec = { ...script('exec sleep 60'), files: [{ path: path.join(directory, 'secret'), content: 'x', mode: 0o600 }] };
    const started = await runtime.start(spec);
    expect(started).toMatchObject({ phase: 'running', supervised: true, restarts: 0 });
    expect((await stat(path.join(directory, 'secret'))).mode & 0o777).toBe(0o600);
    expect((await runtime.start(spec)).pid).toBe(started.pid);
    expect(await runtime.stop(spec, { graceMs: 5_000 })).toBe('ended');
    expect(await runtime.inspect(spec)).toMatchObject({ phase: 'stopped', supervised: false });
    expect(await identifyProcess(started.pid!)).toBeUndefined();
  });

  it('identifies processes in shell as in TypeScript', async () => {
    spec = script('exec sleep 60');
    const { pid } = await runtime.start(spec);
    const record = await readRecord(path.join(directory, 'thing.run'));
    expect(record?.child).toEqual(await identifyProcess(pid!));
    expect(record?.supervisor).toEqual(await identifyProcess(record!.supervisor!.pid));
  });

  it('restarts an instance that is killed', async () => {
    spec = script('exec sleep 60');
    const { pid } = await runtime.start(spec);
    process.kill(pid!, 'SIGKILL');
    const again = await poll('a new process', 10_000, async () => {
      const state = await runtime.inspect(spec);
      return state.phase === 'running' && state.pid !== pid ? state : undefined;
    });
    expect(again).toMatchObject({ supervised: true, restarts: 1, lastExit: 137 });
  });

  it('gives an instance up that crashes again and again', async () => {
    spec = script('echo run >> runs; exit 7');
    await runtime.start(spec);
    expect(await phase('failed')).toMatchObject({ restarts: 3, lastExit: 7 });
    // The supervisor writes this down, and ends a moment later.
    await poll('the supervisor ends', 10_000, async () => !(await runtime.inspect(spec)).supervised);
    expect((await readFile(path.join(directory, 'runs'), 'utf8')).split('\n')).toHaveLength(5);
  });

  it('forgets crashes of an instance that ran long enough in between', async () => {
    spec = script('echo run >> runs; exit 7', { budget: 1, windowS: 0 });
    await runtime.start(spec);
    await poll('more runs than the budget', 10_000, async () => {
      const runs = await readFile(path.join(directory, 'runs'), 'utf8').catch(() => '');
      return runs.split('\n').length > 4;
    });
    expect((await runtime.inspect(spec)).phase).not.toBe('failed');
  });

  it('lets an instance rest that ends by itself without an error', async () => {
    spec = script('exit 0');
    await runtime.start(spec);
    expect(await phase('exited')).toMatchObject({ lastExit: 0, restarts: 0 });
  });

  it('stops an instance that is waiting for its restart', async () => {
    spec = script('exit 1', { delayS: 60, delayMaxS: 60 });
    await runtime.start(spec);
    await phase('waiting');
    const begun = performance.now();
    expect(await runtime.stop(spec, { graceMs: 5_000 })).toBe('ended');
    expect(performance.now() - begun).toBeLessThan(2_000);
  });

  it('kills an instance that does not end in time', async () => {
    spec = script("trap '' TERM; touch ready; while :; do sleep 0.1; done");
    const { pid } = await runtime.start(spec);
    await poll('it ignores SIGTERM', 5_000, () =>
      stat(path.join(directory, 'ready')).then(
        () => true,
        () => false,
      ),
    );
    expect(await runtime.stop(spec, { graceMs: 300 })).toBe('killed');
    expect(await runtime.inspect(spec)).toMatchObject({ phase: 'stopped' });
    expect(await identifyProcess(pid!)).toBeUndefined();
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

  it('tells that an instance went away together with its supervisor', async () => {
    spec = script('exec sleep 60');
    const { pid } = await runtime.start(spec);
    const record = await readRecord(path.join(directory, 'thing.run'));
    process.kill(record!.supervisor!.pid, 'SIGKILL');
    process.kill(pid!, 'SIGKILL');
    await phase('lost');
    expect((await runtime.start(spec)).phase).toBe('running');
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

  it('says so when the program is not there', async () => {
    spec = { ...script(''), program: '/no/such/program' };
    await expect(runtime.start(spec)).rejects.toMatchObject({ kind: 'missing' });
  });
});
