/**
 * A disk whose power can be cut: a file system of its own (ext4 with its journal, in a file) that the kernel shuts down at one
 * moment. Everything that has not been flushed by then is forgotten, as after a power cut, and the journal is recovered at the
 * next mount. Killing a server alone proves less: what it has written stays in the kernel's memory, and reaches the disk.
 *
 * Linux, as root.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { poll } from '../redis.js';

const MIB = 1024 * 1024;
/** Files grow while they are written to: no more of the machine's own disk is taken. */
const SIZE_MIB = 512;
const COMMAND_MS = 30_000;
/** ext4's and XFS's order to stop at once, without so much as the journal being written (linux: EXT4_IOC_SHUTDOWN). */
const SHUT_DOWN = `
import fcntl, os, struct, sys
root = os.open(sys.argv[1], os.O_RDONLY)
print('ready', flush=True)
if sys.stdin.readline():
    fcntl.ioctl(root, 0x8004587d, struct.pack('I', 2))
`;

const run = promisify(execFile);
const command = (program: string, ...args: string[]) => run(program, args, { timeout: COMMAND_MS });

export class Disk {
  /** Where it is mounted. */
  readonly folder: string;
  readonly #place: string;
  #mounted = false;
  #images = 0;
  #armed: ChildProcess | undefined;

  private constructor(place: string) {
    this.#place = place;
    this.folder = path.join(place, 'mounted');
  }

  static async make(): Promise<Disk> {
    const disk = new Disk(await mkdtemp(path.join(os.tmpdir(), 'forge-disk-')));
    try {
      await writeFile(disk.#image, '');
      await truncate(disk.#image, SIZE_MIB * MIB);
      await command('mkfs.ext4', '-q', '-F', disk.#image);
      await mkdir(disk.folder);
      await disk.mount();
      return disk;
    } catch (error) {
      await disk.remove();
      throw error;
    }
  }

  get #image(): string {
    return path.join(this.#place, `image-${this.#images}`);
  }

  async mount(): Promise<void> {
    await command('mount', '-o', 'loop', this.#image, this.folder);
    this.#mounted = true;
  }

  /** @returns what cuts the power, within a millisecond or two; from then on nothing reaches the disk */
  async arm(): Promise<() => Promise<void>> {
    const child = spawn('python3', ['-c', SHUT_DOWN, this.folder], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#armed = child;
    const ended = once(child, 'exit');
    await once(child.stdout, 'data');
    return async () => {
      child.stdin.write('now\n');
      const [code] = await ended;
      if (code !== 0) throw new Error(`the file system was not shut down: ${code}`);
    };
  }

  /** The power comes back. Nobody has a file of it open any more, or will have in a moment. */
  async comeBack(): Promise<void> {
    await poll('nobody uses the disk', COMMAND_MS, () => this.#unmounted());
    // Programs with a view of their own of what is mounted (network namespaces have one) may keep the file system that was
    // shut down, and what is mounted from the same file would be that.
    const before = this.#image;
    this.#images++;
    await command('cp', '--sparse=always', before, this.#image);
    await rm(before);
    await this.mount();
  }

  async #unmounted(): Promise<boolean> {
    try {
      await command('umount', this.folder);
      this.#mounted = false;
      return true;
    } catch (error) {
      if (String(error).includes('busy')) return false;
      throw error;
    }
  }

  async remove(): Promise<void> {
    this.#armed?.kill('SIGKILL');
    if (this.#mounted) await poll('nobody uses the disk', COMMAND_MS, () => this.#unmounted());
    await rm(this.#place, { recursive: true, force: true });
  }
}
