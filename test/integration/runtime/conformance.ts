/**
 * What every runtime promises, with the same assertions for each. What differs is only where an instance runs, and how
 * somebody from outside looks at its files and kills it.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { identifyProcess } from '../../../src/runtime/process/identity.js';
import type { InstancePhase, InstanceSpec, InstanceState, Runtime } from '../../../src/runtime/runtime.js';
import { pollSlowly } from '../../support/docker-runtime.js';

/** One place where instances run, for one test. */
export interface Place {
  runtime: Runtime;
  /** The folder of the instance, as it sees it. */
  directory: string;
  name: string;
  /** Its container, when it is one. */
  container?: InstanceSpec['container'];
  /** A file of the instance: its text, permission bits and owner, undefined when it is not there. */
  file(path: string): Promise<{ text: string; mode: number } | undefined>;
  /** Kills the program and everything that would restart it. */
  killAll(state: InstanceState): Promise<void>;
  /** Ends it, whatever state it is in, and takes away what is left of it. */
  clean(): Promise<void>;
  /** Between two looks, milliseconds: where each is several processes, looking all the time is what takes the time. */
  lookMs: number;
}

export interface Surroundings {
  place(): Promise<Place>;
  end(): Promise<void>;
}

const PHASE_MS = 20_000;
/** What every end may take, beyond the grace: over SSH each question takes some tenths of a second. */
const END_MS = 6_000;

/**
 * @param surround null where this runtime cannot be had, and may be left out
 * @param all false: only what brings every command of a runtime once
 */
export function describeRuntime(name: string, surround: () => Promise<Surroundings | null>, all = true): void {
  const further = all ? it : () => {};
  describe(`the runtime ${name}`, () => {
    let surroundings: Surroundings | null;
    let place: Place;
    let runtime: Runtime;
    let spec: InstanceSpec;

    beforeAll(async () => {
      surroundings = await surround();
    });
    afterAll(async () => {
      await surroundings?.end();
    });
    beforeEach(async (context) => {
      if (surroundings === null) return context.skip('there is no such runtime here');
      place = await surroundings.place();
      runtime = place.runtime;
    });
    afterEach(async () => {
      if (surroundings === null) return;
      await place.clean();
    });

    /** An instance that is a shell script. */
    function script(text: string, restart: Partial<InstanceSpec['restart']> = {}): InstanceSpec {
      return {
        name: place.name,
        directory: place.directory,
        program: '/bin/sh',
        args: ['-c', text],
        env: { PATH: '/usr/bin:/bin', GREETING: 'good day' },
        files: [],
        restart: { delayS: 0, delayMaxS: 1, budget: 3, windowS: 60, ...restart },
        ...(place.container === undefined ? {} : { container: place.container }),
      };
    }

    const until = <T>(what: string, probe: () => Promise<T | undefined | false>) =>
      pollSlowly(what, PHASE_MS, probe, place.lookMs);
    const reached = (wanted: InstancePhase, restarts = 0) =>
      until(`phase ${wanted}`, async () => {
        const state = await runtime.inspect(spec);
        return state.phase === wanted && state.restarts >= restarts ? state : undefined;
      });
    const text = async (file: string) => (await place.file(`${place.directory}/${file}`))?.text;

    it('knows nothing of an instance that was never started', async () => {
      spec = script('exec sleep 60');
      expect(await runtime.inspect(spec)).toEqual({ phase: 'absent', supervised: false, restarts: 0 });
      expect(await runtime.stop(spec, { graceMs: 1_000 })).toBe('absent');
      expect(await runtime.outputTail(spec, 5)).toEqual([]);
      await runtime.remove(spec, { volumes: 'all' });
      await expect(runtime.putFiles(spec, [])).rejects.toMatchObject({ kind: 'missing' });
    });

    it('starts an instance once, and stops it', async () => {
      spec = script('exec sleep 60');
      const started = await runtime.start(spec);
      expect(started).toMatchObject({ phase: 'running', supervised: true, restarts: 0 });
      expect(started.pid).toBeGreaterThan(0);
      expect(started.memoryBytes).toBeGreaterThan(0);
      expect(started.lastExit).toBeUndefined();
      expect((await runtime.start(spec)).pid).toBe(started.pid);
      await expect(runtime.remove(spec, { volumes: 'keep' })).rejects.toMatchObject({ kind: 'refused' });
      expect(await runtime.stop(spec, { graceMs: 5_000 })).toBe('ended');
      expect(await runtime.inspect(spec)).toMatchObject({ phase: 'stopped', supervised: false });
      expect(await identifyProcess(started.pid ?? 0)).toBeUndefined();
      expect(await runtime.stop(spec, { graceMs: 1_000 })).toBe('absent');
    });

    it('gives it its files with their modes, its environment and its folder, before it starts', async () => {
      const file = (name: string) => `${place.directory}/${name}`;
      spec = {
        ...script(
          'cat users.acl tls/key > seen; echo "$GREETING" >> seen; pwd >> seen; echo done > ready; exec sleep 60',
        ),
        files: [
          { path: file('users.acl'), content: 'user ümlaut\n', mode: 0o600 },
          { path: file('tls/key'), content: 'secret\n', mode: 0o400 },
          { path: file('open.conf'), content: '', mode: 0o644 },
        ],
      };
      await runtime.start(spec);
      await until('it has read them', async () => (await text('ready')) === 'done\n');
      expect(await text('seen')).toBe(`user ümlaut\nsecret\ngood day\n${place.directory}\n`);
      expect((await place.file(file('users.acl')))?.mode).toBe(0o600);
      expect((await place.file(file('tls/key')))?.mode).toBe(0o400);
      expect((await place.file(file('open.conf')))?.mode).toBe(0o644);
    });

    it('writes files of a running instance, and of none that are not its own', async () => {
      spec = { ...script('exec sleep 60'), files: [{ path: `${place.directory}/a`, content: 'old', mode: 0o644 }] };
      const { pid } = await runtime.start(spec);
      await runtime.putFiles(spec, [
        { path: `${place.directory}/a`, content: 'new', mode: 0o600 },
        { path: `${place.directory}/tls/b`, content: 'b', mode: 0o600 },
      ]);
      expect(await place.file(`${place.directory}/a`)).toEqual({ text: 'new', mode: 0o600 });
      expect(await text('tls/b')).toBe('b');
      expect((await runtime.inspect(spec)).pid).toBe(pid);
      for (const path of ['/etc/elsewhere', `${place.directory}/../elsewhere`]) {
        const files = [{ path, content: '', mode: 0o600 }];
        await expect(runtime.putFiles(spec, files)).rejects.toMatchObject({ kind: 'configuration' });
      }
    });

    further('starts a stopped instance again with what it is to be now, and keeps what it has written', async () => {
      spec = {
        ...script('echo one >> log; exec sleep 60'),
        files: [{ path: `${place.directory}/a`, content: '1', mode: 0o600 }],
      };
      const { pid } = await runtime.start(spec);
      await until('its line', async () => (await text('log')) === 'one\n');
      await runtime.stop(spec, { graceMs: 5_000 });
      spec = {
        ...script('echo two >> log; exec sleep 60'),
        files: [{ path: `${place.directory}/a`, content: '2', mode: 0o600 }],
      };
      const again = await runtime.start(spec);
      expect(again).toMatchObject({ phase: 'running', restarts: 0 });
      expect(again.pid).not.toBe(pid);
      await until('both lines', async () => (await text('log')) === 'one\ntwo\n');
      expect(await text('a')).toBe('2');
    });

    it('restarts an instance that is killed', async () => {
      spec = script('exec sleep 60');
      const { pid } = await runtime.start(spec);
      process.kill(pid ?? 0, 'SIGKILL');
      const again = await until('a new process', async () => {
        const state = await runtime.inspect(spec);
        return state.phase === 'running' && state.pid !== undefined && state.pid !== pid ? state : undefined;
      });
      expect(again).toMatchObject({ supervised: true, restarts: 1, lastExit: 137 });
    });

    further('gives an instance up that crashes again and again, and starts it when it is told to', async () => {
      spec = script('echo run >> runs; echo "it is broken" >&2; exit 7');
      await runtime.start(spec);
      const failed = await until('it is given up', async () => {
        const state = await runtime.inspect(spec);
        return state.phase === 'failed' && !state.supervised ? state : undefined;
      });
      expect(failed).toMatchObject({ restarts: 3, lastExit: 7 });
      expect(failed.pid).toBeUndefined();
      expect((await text('runs'))?.split('\n')).toHaveLength(5);
      expect(await runtime.outputTail(spec, 20)).toContain('it is broken');
      expect(await runtime.stop(spec, { graceMs: 1_000 })).toBe('absent');
      expect(await runtime.inspect(spec)).toMatchObject({ phase: 'failed', lastExit: 7 });
      spec = script('exec sleep 60');
      expect(await runtime.start(spec)).toMatchObject({ phase: 'running', restarts: 0 });
    });

    further('starts an instance again that was given up and has not been stopped since', async () => {
      spec = script('exit 7', { budget: 0 });
      await runtime.start(spec);
      await reached('failed');
      spec = script('exec sleep 60');
      expect(await runtime.start(spec)).toMatchObject({ phase: 'running', restarts: 0 });
    });

    further('forgets crashes of an instance that ran long enough in between', async () => {
      spec = script('echo run >> runs; exit 7', { budget: 1, windowS: 0 });
      await runtime.start(spec);
      await until('more runs than the budget', async () => ((await text('runs')) ?? '').split('\n').length > 4);
      expect((await runtime.inspect(spec)).phase).not.toBe('failed');
    });

    further('lets an instance rest that ends by itself without an error', async () => {
      spec = script('exit 0');
      await runtime.start(spec);
      expect(await reached('exited')).toMatchObject({ lastExit: 0, restarts: 0 });
    });

    further('stops an instance that is waiting for its restart', async () => {
      spec = script('exit 1', { delayS: 60, delayMaxS: 60 });
      await runtime.start(spec);
      expect(await reached('waiting', 1)).toMatchObject({ supervised: true, restarts: 1, lastExit: 1 });
      const begun = performance.now();
      expect(await runtime.stop(spec, { graceMs: 20_000 })).toBe('ended');
      expect(performance.now() - begun).toBeLessThan(END_MS);
      expect((await runtime.inspect(spec)).phase).toBe('stopped');
    });

    further('kills an instance that does not end in time', async () => {
      spec = script("trap '' TERM; echo > ready; while :; do sleep 0.1; done");
      const { pid } = await runtime.start(spec);
      await until('it ignores SIGTERM', async () => (await text('ready')) !== undefined);
      expect(await runtime.stop(spec, { graceMs: 300 })).toBe('killed');
      expect(await runtime.inspect(spec)).toMatchObject({ phase: 'stopped', supervised: false });
      expect(await identifyProcess(pid ?? 0)).toBeUndefined();
    });

    further('lets an instance end in its own time when it has that', async () => {
      spec = script("trap 'sleep 0.5; echo saved > saved; exit 0' TERM; echo > ready; while :; do sleep 0.1; done");
      await runtime.start(spec);
      await until('it listens to SIGTERM', async () => (await text('ready')) !== undefined);
      expect(await runtime.stop(spec, { graceMs: 10_000 })).toBe('ended');
      expect(await runtime.inspect(spec)).toMatchObject({ phase: 'stopped' });
      expect(await text('saved')).toBe('saved\n');
    });

    it('tells that an instance went away together with what would restart it', async () => {
      spec = script('exec sleep 60');
      await place.killAll(await runtime.start(spec));
      expect((await reached('lost')).supervised).toBe(false);
      expect((await runtime.start(spec)).phase).toBe('running');
    });

    it('has the last lines of its output, of both streams', async () => {
      spec = script('for i in 1 2 3; do echo "out $i"; sleep 0.05; echo "err $i" >&2; sleep 0.05; done; exec sleep 60');
      await runtime.start(spec);
      const lines = await until('all lines', async () => {
        const tail = await runtime.outputTail(spec, 4);
        return tail.at(-1) === 'err 3' ? tail : undefined;
      });
      expect(lines).toEqual(['out 2', 'err 2', 'out 3', 'err 3']);
    });

    further('knows nothing of an instance that was removed', async () => {
      spec = script('exec sleep 60');
      await runtime.start(spec);
      await runtime.stop(spec, { graceMs: 5_000 });
      await runtime.remove(spec, { volumes: 'keep' });
      expect(await runtime.inspect(spec)).toEqual({ phase: 'absent', supervised: false, restarts: 0 });
      expect(await runtime.outputTail(spec, 5)).toEqual([]);
      expect((await runtime.start(spec)).phase).toBe('running');
    });

    further('says so when the program is not there, and leaves nothing running', async () => {
      spec = { ...script('exec sleep 60'), program: '/no/such/program' };
      await expect(runtime.start(spec)).rejects.toMatchObject({ kind: 'missing' });
      expect(['absent', 'stopped']).toContain((await runtime.inspect(spec)).phase);
    });
  });
}
