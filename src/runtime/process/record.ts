/** The record that templates/supervise.sh keeps about the program it runs. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { ProcessIdentity } from './identity.js';

export type RecordPhase = 'running' | 'waiting' | 'failed' | 'exited' | 'stopped';

export interface SupervisorRecord {
  phase: RecordPhase;
  supervisor?: ProcessIdentity;
  child?: ProcessIdentity;
  restarts: number;
  lastExit?: number;
}

const PHASES: readonly string[] = ['running', 'waiting', 'failed', 'exited', 'stopped'] satisfies RecordPhase[];

/** Parses a record; undefined when it is not one, so that a damaged file never names a process to be stopped. */
export function parseRecord(text: string): SupervisorRecord | undefined {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const blank = line.indexOf(' ');
    if (blank > 0) fields.set(line.slice(0, blank), line.slice(blank + 1));
  }
  const phase = fields.get('state');
  if (phase === undefined || !PHASES.includes(phase)) return undefined;
  const lastExit = Number.parseInt(fields.get('last_exit') ?? '', 10);
  return {
    phase: phase as RecordPhase,
    supervisor: parseIdentity(fields.get('supervisor')),
    child: parseIdentity(fields.get('child')),
    restarts: Number.parseInt(fields.get('restarts') ?? '', 10) || 0,
    ...(Number.isNaN(lastExit) ? {} : { lastExit }),
  };
}

/** Reads a record; undefined when there is none. */
export async function readRecord(file: string): Promise<SupervisorRecord | undefined> {
  try {
    return parseRecord(await readFile(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Says that what the record names has been stopped, where the supervisor could not say it: it had to be killed. */
export async function markStopped(file: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  const whole = `${file}.killed`;
  await writeFile(whole, text.replace(/^state .*$/m, 'state stopped'), { mode: 0o600 });
  await rename(whole, file);
}

function parseIdentity(text: string | undefined): ProcessIdentity | undefined {
  const match = /^(\d+) (\S+)$/.exec(text ?? '');
  return match?.[1] === undefined || match[2] === undefined ? undefined : { pid: Number(match[1]), start: match[2] };
}
