import { TAKE_OVER, TAKE_OVER_TIMES, UPGRADE_MS } from '../../config/control-path.js';
import type { ListenAddresses } from '../addresses.js';
import type { ControlHandler } from '../control.js';
import type { DrainTimes } from '../draining.js';
import type { Logger } from '../logger.js';
import type { HandoverPaths } from '../messages.js';
import type { ServiceManager } from '../sd-notify.js';
import { drainTimes } from '../upgrade.js';
import type { Workers } from '../workers.js';
import { ownName, wordsOf } from './process-name.js';
import { Succession } from './succession.js';

const ANSWER_MS = 100;

export interface YieldingOptions {
  readonly logger: Logger;
  readonly manager: ServiceManager;
  readonly workers: Workers;
  /** Null until they are known. */
  addresses(): ListenAddresses | null;
  /** Clients are let go already. */
  isDraining(): boolean;
  /** The admin pages: theirs is one address, too. */
  startAdmin(): void;
  stopAdmin(): void;
  /** Lets clients go. @param places where the process that takes over waits for them */
  drain(times: DrainTimes, places: HandoverPaths): void;
}

/** The side of the old process: gives its place to another one, and takes it back when that fails. */
export class Yielding {
  /** Another process serves in place of this one. */
  replaced = false;
  readonly succession = new Succession();
  /** Resolved when another process has taken over. */
  private readonly yielded = Promise.withResolvers<void>();

  constructor(private readonly options: YieldingOptions) {}

  /** What a successor asks, and who starts one. @param path the control socket */
  handlers(path: string): Record<string, ControlHandler> {
    return {
      upgrade: ({ program, times }) => this.upgrade(String(program || process.execPath), path, String(times ?? '')),
      yield: (question) => this.yield(question),
      drain: ({ times, clients, heirs }) =>
        this.leave(String(times ?? ''), { clients: String(clients ?? ''), heirs: heirsOf(heirs) }),
    };
  }

  private upgrade(program: string, path: string, times: string): Promise<object> {
    return this.succession.attempt(async () => {
      try {
        return await startSuccessor(program, path, times, this.yielded.promise);
      } catch (error) {
        this.resume(false);
        throw error;
      }
    });
  }

  /** Another process accepts the clients from here on. */
  private async yield(question: Record<string, unknown>): Promise<object> {
    const { logger, workers } = this.options;
    const successor = this.succession.admit(question);
    logger.info(`${wordsOf(successor)} takes over: no more clients are accepted`);
    this.options.stopAdmin();
    await workers.stopAccepting();
    void this.succession.fails(() => this.replaced).then((failed) => failed && this.resume(true));
    return ownName();
  }

  /** Goes on as before: what was to take over is gone. @param closed nobody is accepted any more */
  private resume(closed: boolean): void {
    const { logger, workers } = this.options;
    const addresses = this.options.addresses();
    if (this.replaced || this.options.isDraining() || addresses === null) return;
    try {
      const anew = addresses.reclaim();
      if (closed || anew.includes(true)) {
        workers.accept(() => addresses.forWorker((index) => closed || anew[index] === true));
        logger.warn('what was to take over is gone; clients are accepted again');
      }
      if (closed) this.options.startAdmin();
    } catch (error) {
      logger.error(`not all is served again as before: ${(error as Error).message}`);
    }
  }

  private leave(text: string, places: HandoverPaths): object {
    const { manager } = this.options;
    this.replaced = true;
    if (this.succession.pid !== 0) manager.succeeded(this.succession.pid);
    this.yielded.resolve();
    // Who waits for an answer gets it first.
    setTimeout(() => this.options.drain(drainTimes(text), places), ANSWER_MS);
    return ownName();
  }
}

/** One of before does not say it. */
function heirsOf(said: unknown): number {
  const count = Number(said ?? 0);
  return Number.isInteger(count) && count > 0 ? count : 0;
}

export interface Started {
  readonly pid: number;
}

/**
 * The side of the old process: starts its successor and waits until that has taken over.
 * @param yielded resolves when this process was told to stop accepting and to drain
 * @throws Error when the successor ends before; this process goes on
 */
export async function startSuccessor(
  program: string,
  controlSocket: string,
  times: string,
  yielded: Promise<void>,
): Promise<Started> {
  const child = Bun.spawn([program, ...process.argv.slice(2)], {
    env: { ...process.env, [TAKE_OVER]: controlSocket, [TAKE_OVER_TIMES]: times },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`it was not ready within ${UPGRADE_MS / 1000} s`)), UPGRADE_MS);
  const ended = child.exited.then((code) => {
    throw new Error(`${program} ended with code ${code}; see the log`);
  });
  try {
    await Promise.race([yielded, ended, late.promise]);
    child.unref();
    return { pid: child.pid };
  } catch (error) {
    child.kill();
    throw error;
  } finally {
    clearTimeout(timer);
    ended.catch(() => {});
  }
}
