import { readlinkSync } from 'node:fs';

/** A process by its number, and by who counts: each container numbers its own processes from 1. */
export interface ProcessName {
  readonly pid: number;
  /** `pid:[4026531836]`; empty where the system does not tell. */
  readonly namespace: string;
}

export function ownName(): ProcessName {
  return { pid: process.pid, namespace: ownNamespace() };
}

function ownNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

/** What another process said of itself; versions that name no namespace know of one only. */
export function readName({ pid, namespace }: Record<string, unknown>): ProcessName {
  return { pid: Number(pid), namespace: typeof namespace === 'string' ? namespace : '' };
}

/** Whether the number of a process means the same to us. */
export function isNear({ namespace }: ProcessName): boolean {
  return namespace === '' || namespace === ownNamespace();
}

export function isSame(one: ProcessName, other: ProcessName): boolean {
  const unknown = one.namespace === '' || other.namespace === '';
  return one.pid === other.pid && (unknown || one.namespace === other.namespace);
}

/** In words, for the log. */
export function wordsOf(name: ProcessName): string {
  return isNear(name) ? `process ${name.pid}` : `process ${name.pid} of another container`;
}

/** Whether a process runs whose number means the same to us. */
export function runs(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
