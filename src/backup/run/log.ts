/** The log of runs: JSON lines, appended. */
import { appendFileSync } from 'node:fs';
import { ForgeError } from '../../errors.js';
import type { BackupEvent } from './events.js';

const MODE = 0o600;

export class RunLog {
  readonly #file: string;
  readonly #about: { readonly cluster: string; readonly pid: number };
  #broken = false;

  /** @throws ForgeError `configuration` where the file cannot be written to: better at the beginning than never */
  constructor(file: string, cluster: string) {
    this.#file = file;
    this.#about = { cluster, pid: process.pid };
    try {
      appendFileSync(file, '', { mode: MODE });
    } catch (cause) {
      throw new ForgeError('configuration', `The log ${file} cannot be written to.`, {
        next: 'Make its folder, or let this user write there.',
        cause,
      });
    }
  }

  /** Progress is not written down. */
  event(event: BackupEvent): void {
    if (event.type !== 'shard-progress') this.write(event.type, event);
  }

  /** A line; a log that cannot be written to any more ends no backup. */
  write(event: string, fields: object): void {
    if (this.#broken) return;
    const line = JSON.stringify({ at: new Date().toISOString(), ...this.#about, event, ...fields, type: undefined });
    try {
      appendFileSync(this.#file, `${line}\n`, { mode: MODE });
    } catch {
      this.#broken = true;
    }
  }

  /** A line was lost. */
  get broken(): boolean {
    return this.#broken;
  }
}
