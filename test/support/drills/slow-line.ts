/** A line to one host that is slow, or loses packets. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const PROGRAM = fileURLToPath(new URL('slow-line.py', import.meta.url));
const COMMAND_MS = 10_000;
/** The line's two ends: at the bridge, and at the program that holds packets back. */
const [AT_BRIDGE, AT_PROGRAM] = ['near', 'far'];

export interface SlowLineOptions {
  /** The host's port, and the namespace of the bridge `sw0` to which it is plugged. */
  readonly port: string;
  readonly namespace: string;
  /** How late packets to the host are, milliseconds. */
  readonly delayMs?: number;
  /** The share of packets, to it and from it, that are lost: 0 to 1. */
  readonly loss?: number;
  readonly seed: number;
}

export class SlowLine {
  readonly #options: SlowLineOptions;
  readonly #child: ChildProcess;

  private constructor(options: SlowLineOptions, child: ChildProcess) {
    this.#options = options;
    this.#child = child;
  }

  /** One at a time in a network. @throws Error when it cannot be made */
  static async begin(options: SlowLineOptions): Promise<SlowLine> {
    const { port, namespace, delayMs = 0, loss = 0, seed } = options;
    await inside(namespace, 'link', 'add', 'name', AT_BRIDGE, 'type', 'veth', 'peer', 'name', AT_PROGRAM);
    await inside(namespace, 'link', 'set', 'dev', AT_BRIDGE, 'master', 'sw0', 'up');
    await inside(namespace, 'link', 'set', 'dev', AT_PROGRAM, 'up');
    const words = [PROGRAM, port, AT_PROGRAM, delayMs, loss, seed].map(String);
    const child = spawn('nsenter', [`--net=/run/netns/${namespace}`, 'python3', ...words], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const line = new SlowLine(options, child);
    try {
      const [said] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
      if (String(said).trim() !== 'ready') throw new Error(`${PROGRAM} ended with ${said}`);
      await inside(namespace, 'link', 'set', 'dev', port, 'nomaster');
      return line;
    } catch (error) {
      await line.end();
      throw error;
    }
  }

  /** The line is as it was. */
  async end(): Promise<void> {
    const { port, namespace } = this.#options;
    await inside(namespace, 'link', 'set', 'dev', port, 'master', 'sw0');
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await ended;
    }
    await inside(namespace, 'link', 'del', 'dev', AT_BRIDGE);
  }
}

async function inside(namespace: string, ...words: string[]): Promise<void> {
  await promisify(execFile)('ip', ['-n', namespace, ...words], { timeout: COMMAND_MS });
}
