/** A disk that is soon full: a small file system in memory, mounted over a folder. Needs root. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, rmSync, statfsSync } from 'node:fs';
import path from 'node:path';

const PIECE_BYTES = 64 * 1024;

export class SmallDisk {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Mounts it with what is in the folder. A process that was there before keeps its files until it is started anew. */
  static over(directory: string, megabytes: number, aside: string): SmallDisk {
    cpSync(directory, aside, { recursive: true, preserveTimestamps: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=700`, 'forge-drill', directory]);
    cpSync(aside, directory, { recursive: true, preserveTimestamps: true });
    rmSync(aside, { recursive: true });
    return new SmallDisk(directory);
  }

  get #filler(): string {
    return path.join(this.#directory, 'filler');
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#directory);
    return bavail * bsize;
  }

  /** Until there is no byte left. */
  fill(): void {
    const piece = Buffer.alloc(PIECE_BYTES);
    try {
      while (this.freeBytes > 0) appendFileSync(this.#filler, piece);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }

  makeRoom(): void {
    rmSync(this.#filler, { force: true });
  }

  /** What still runs there keeps it until its end. */
  remove(): void {
    execFileSync('umount', ['--lazy', this.#directory]);
  }
}
