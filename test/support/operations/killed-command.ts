/**
 * A process that runs one command of forge, as a user's shell does, and kills itself by SIGKILL at one moment of it. Its
 * one argument is JSON: `KilledCommand`. What the command sees of the environment is the environment.
 */
import { appendFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { InterruptibleCommand } from '../../../src/interruptible-command.js';
import { operationPaths } from '../../../src/operations/home.js';

export type Death =
  /** At the Nth line of the journal that this process writes: before it, when half of it is there, or when it is on disk. */
  | { readonly line: number; readonly moment: 'before' | 'torn' | 'after' }
  /** Before the Nth command that changes a node (and has this word), or so many milliseconds after it was let go. */
  | { readonly mutation: number; readonly word?: string; readonly afterMs?: number };

/** Somebody else gets a signal at that moment, and the command goes on. */
export interface Victim {
  /** 0 for the command itself. */
  readonly pid: number;
  readonly signal: 'SIGKILL' | 'SIGSTOP' | 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGUSR2';
}

export interface KilledCommand {
  /** A file in src/commands, without its extension: `scale/add`. */
  readonly command: string;
  /** The repository. */
  readonly root: string;
  readonly argv: readonly string[];
  /** Not at all when not given. */
  readonly death?: Death;
  /** Itself, by SIGKILL, when not given. */
  readonly victim?: Victim;
}

function die(): Promise<void> {
  if (victim === undefined) process.kill(process.pid, 'SIGKILL');
  else process.kill(victim.pid || process.pid, victim.signal);
  return victim === undefined ? new Promise(() => undefined) : Promise.resolve();
}

const TORN_CHARACTERS = 40;

function watchFor(death: Death): typeof InterruptibleCommand.watch {
  let count = 0;
  if ('mutation' in death) {
    return {
      mutation: async ({ command: words }) => {
        if (death.word !== undefined && !words.includes(death.word)) return;
        if (++count !== death.mutation) return;
        if (death.afterMs === undefined) await die();
        else setTimeout(die, death.afterMs);
      },
    };
  }
  return {
    journal: async (moment, entry) => {
      if (moment === 'before') count++;
      if (count !== death.line) return;
      if (death.moment === moment) await die();
      if (death.moment === 'torn' && moment === 'before') {
        const { journals } = operationPaths();
        const file = readdirSync(journals).sort().at(-1) ?? '';
        appendFileSync(path.join(journals, file), JSON.stringify(entry).slice(0, TORN_CHARACTERS));
        await die();
      }
    },
  };
}

const { command, root, argv, death, victim } = JSON.parse(process.argv[2] ?? '') as KilledCommand;
if (death !== undefined) InterruptibleCommand.watch = watchFor(death);
const { default: chosen } = (await import(`../../../src/commands/${command}.js`)) as {
  default: { run(argv: string[], root: string): Promise<unknown> };
};
try {
  await chosen.run([...argv], root);
  process.exit(0);
} catch (error) {
  const { reportFailure } = await import('../../../src/ui/failure.js');
  process.exit(await reportFailure(error, { json: false }));
}
