import { setTimeout as sleep } from 'node:timers/promises';
import { Args, Flags } from '@oclif/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { dryRunFlag, ForgeCommand, yesFlag } from '../../src/base-command.js';
import { ForgeError } from '../../src/errors.js';
import { hangupByTerminal } from '../../src/interruption.js';
import { ROOT } from '../support/repository.js';

const AS_ASKED = { done: true };

class Sample extends ForgeCommand {
  static override args = { target: Args.string() };
  static override flags = { ...yesFlag, ...dryRunFlag, count: Flags.integer({ default: 1 }) };
  static work: (command: Sample) => Promise<object> = async () => AS_ASKED;

  async run(): Promise<object> {
    await this.parse(Sample);
    return Sample.work(this);
  }

  ask() {
    return this.confirm('Really?');
  }

  get stop() {
    return this.signal;
  }

  get out() {
    return this.output;
  }
}

interface Run {
  stdout: string;
  stderr: string;
  result?: unknown;
  error?: ForgeError;
}

/** Runs the command in this process, with both streams caught. */
async function runSample(
  argv: string[],
  work: (command: Sample) => Promise<object> = async () => AS_ASKED,
  Command: typeof Sample = Sample,
): Promise<Run> {
  Sample.work = work;
  const caught = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      caught[name] += String(text);
      return true;
    });
  }
  try {
    const result: unknown = await Command.run(argv, ROOT);
    return { ...caught, result };
  } catch (error) {
    return { ...caught, error: error as ForgeError };
  }
}

afterEach(() => vi.restoreAllMocks());

describe('a command', () => {
  it('returns its result and prints what it says', async () => {
    const { result, stdout, stderr } = await runSample([], async (command) => {
      command.out.data('data');
      command.out.message('remark');
      return AS_ASKED;
    });
    expect({ result, stdout, stderr }).toEqual({ result: AS_ASKED, stdout: 'data\n', stderr: 'remark\n' });
  });

  it('prints exactly one document with --json', async () => {
    const { stdout, stderr } = await runSample(['--json'], async (command) => {
      command.out.data('data');
      command.out.message('remark');
      return AS_ASKED;
    });
    expect(JSON.parse(stdout)).toEqual(AS_ASKED);
    expect(stderr).toBe('');
  });

  it('keeps its remarks to itself with --quiet', async () => {
    const { stderr } = await runSample(['-q'], async (command) => {
      command.out.message('remark');
      return AS_ASKED;
    });
    expect(stderr).toBe('');
  });

  it.each([[['--nope']], [['--count', 'many']], [['a', 'b']], [['--count']]])(
    'calls %j a wrong usage',
    async (argv) => {
      const { error } = await runSample(argv);
      expect(error).toBeInstanceOf(ForgeError);
      expect(error).toMatchObject({ kind: 'usage', exitCode: 2 });
    },
  );

  it('passes a ForgeError on and turns every other failure into one', async () => {
    const failure = new ForgeError('denied', 'No.');
    const fail = (thrown: unknown) => runSample([], () => Promise.reject(thrown));
    expect((await fail(failure)).error).toBe(failure);
    expect((await fail(new TypeError('bug'))).error).toMatchObject({
      kind: 'unexpected',
      cause: expect.any(TypeError),
    });
  });

  it('goes on with --yes, and refuses where nobody can be asked', async () => {
    const ask = async (command: Sample) => ({ agreed: await command.ask() });
    expect((await runSample(['--yes', '--json'], ask)).result).toEqual({ agreed: true });
    expect((await runSample(['--json'], ask)).error).toMatchObject({ kind: 'refused' });
  });
});

describe.each([
  ['SIGINT', 'interrupted', 130],
  ['SIGTERM', 'terminated', 143],
] as const)('%s', (name, kind, exitCode) => {
  it('aborts the signal, lets the command clean up, and is what the command failed of', async () => {
    let cleaned = false;
    const { error } = await runSample([], async (command) => {
      process.emit(name);
      await sleep(60_000, undefined, { signal: command.stop }).catch(() => undefined);
      cleaned = true;
      throw command.stop.reason;
    });
    expect(cleaned).toBe(true);
    expect(error).toMatchObject({ kind, exitCode });
  });

  it('wins over a result and prints no document for it', async () => {
    const { error, stdout } = await runSample(['--json'], async () => {
      process.emit(name);
      return AS_ASKED;
    });
    expect(error).toMatchObject({ kind });
    expect(error?.message).toMatch(/^[^.]+\.$/);
    expect(stdout).toBe('');
  });

  it('keeps the words with which the command stopped', async () => {
    const { error } = await runSample([], async () => {
      process.emit(name);
      throw new ForgeError('partial', 'Two of six nodes joined.', { host: 'a:1', next: 'Run it again.' });
    });
    expect(error).toMatchObject({ kind, host: 'a:1', next: ['Run it again.'] });
    expect(error?.message).toContain('Two of six nodes joined.');
  });

  it('leaves at once when it comes a second time', async () => {
    const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
    await runSample([], async () => {
      process.emit(name);
      process.emit(name);
      return AS_ASKED;
    });
    expect(exit).toHaveBeenCalledWith(exitCode);
  });

  it('has no listener left after the command', async () => {
    const before = process.listenerCount(name);
    await runSample([]);
    expect(process.listenerCount(name)).toBe(before);
  });
});

class Heedful extends Sample {
  protected override readonly hangup = 'interrupt' as const;
}

class Detached extends Sample {
  protected override readonly hangup = 'ignore' as const;
}

describe('a terminal that goes away (SIGHUP)', () => {
  it('ends a command as the system does, when the command has not asked to hear of it', async () => {
    const before = process.listenerCount('SIGHUP');
    let during = -1;
    await runSample([], async () => {
      during = process.listenerCount('SIGHUP');
      return AS_ASKED;
    });
    expect(during).toBe(before);
  });

  it('interrupts one that has, once: the shell and the system both send it, and the work in hand is finished', async () => {
    const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
    const hangUpTwice = async (command: Sample) => {
      process.emit('SIGHUP');
      process.emit('SIGHUP');
      command.stop.throwIfAborted();
      return AS_ASKED;
    };
    const { error } = await runSample([], hangUpTwice, Heedful);
    expect(error).toMatchObject({ kind: 'hung-up', exitCode: 129, message: 'The terminal went away.' });
    expect(exit).not.toHaveBeenCalled();
  });

  it('is no matter of a command that has no terminal', async () => {
    const { result } = await runSample(
      [],
      async (command) => {
        process.emit('SIGHUP');
        return { aborted: command.stop.aborted };
      },
      Detached,
    );
    expect(result).toEqual({ aborted: false });
    expect([hangupByTerminal(true), hangupByTerminal(false)]).toEqual(['interrupt', 'ignore']);
  });
});
