/** An operator of a real cluster: runs commands of forge as processes of their own, which may be killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { ROOT } from '../repository.js';
import { compiledPrograms } from './compiled.js';
import { temporaryHome } from './join.js';
import type { Death, KilledCommand, Victim } from './killed-command.js';

const PROGRAM = 'test/support/operations/killed-command.js';
const CHILD_MS = 120_000;

export interface CommandResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCommand {
  readonly child: ChildProcess;
  readonly ended: Promise<CommandResult>;
  /** Resolves when either output has shown it; rejects when the process ends before. */
  said(pattern: RegExp): Promise<void>;
}

export interface StartOptions {
  /** When something dies: the command itself, or the victim. */
  readonly death?: Death;
  readonly victim?: Victim;
  /** A program that runs it: `['nohup']`. */
  readonly wrapper?: readonly string[];
}

export class TestOperator {
  readonly #home: Awaited<ReturnType<typeof temporaryHome>>;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #program: string;

  private constructor(
    home: Awaited<ReturnType<typeof temporaryHome>>,
    environment: NodeJS.ProcessEnv,
    program: string,
  ) {
    this.#home = home;
    this.#environment = environment;
    this.#program = program;
  }

  /** With journals of their own, and these variables: seeds, password. */
  static async create(environment: NodeJS.ProcessEnv): Promise<TestOperator> {
    const program = path.join(await compiledPrograms(), PROGRAM);
    return new TestOperator(await temporaryHome(), environment, program);
  }

  get home(): string {
    return this.#home.home;
  }

  get paths() {
    return this.#home.paths;
  }

  /** Starts `scale/add …`. `--yes` is added: nobody is there to be asked. */
  start(command: string, argv: readonly string[], { death, victim, wrapper = [] }: StartOptions = {}): RunningCommand {
    const run: KilledCommand = { command, root: ROOT, argv: [...argv, '--yes'], death, victim };
    const words = [...wrapper, process.execPath, this.#program, JSON.stringify(run)];
    const child = spawn(words[0] as string, words.slice(1), {
      env: { ...process.env, NO_COLOR: '1', ...this.#environment, FORGE_HOME: this.#home.home },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
      });
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), CHILD_MS);
    const ended = new Promise<CommandResult>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        clearTimeout(timer);
        resolve({ code, signal, ...output });
      });
    });
    const said = (pattern: RegExp) =>
      new Promise<void>((resolve, reject) => {
        const look = () => pattern.test(output.stdout + output.stderr) && resolve();
        for (const stream of [child.stdout, child.stderr]) stream.on('data', look);
        child.once('close', () => reject(new Error(`ended without saying ${pattern}: ${output.stderr}`)));
        look();
      });
    return { child, ended, said };
  }

  /** To the end, whatever it is. */
  run(command: string, argv: readonly string[], options?: StartOptions): Promise<CommandResult> {
    return this.start(command, argv, options).ended;
  }

  /** To a good end; throws what it said when not. */
  async succeed(command: string, argv: readonly string[]): Promise<CommandResult> {
    const result = await this.run(command, argv);
    if (result.code === 0) return result;
    throw new Error(`${command} ${argv.join(' ')}: ${result.signal ?? result.code}\n${result.stderr}`);
  }

  /** True when it died as it should; false when it was done before. Throws what it said when it failed. */
  async killed(command: string, argv: readonly string[], death: Death): Promise<boolean> {
    const result = await this.run(command, argv, { death });
    if (result.signal === 'SIGKILL') return true;
    if (result.code === 0) return false;
    throw new Error(`${command} ${argv.join(' ')}: ${result.signal ?? result.code}\n${result.stderr}`);
  }

  remove(): Promise<void> {
    return this.#home.remove();
  }
}
