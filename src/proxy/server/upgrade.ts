import { TAKE_OVER, TAKE_OVER_TIMES, UPGRADE_MS } from '../config/control-path.js';
import { askOther } from './control.js';
import type { DrainTimes } from './draining.js';
import { HandoverPlace } from './handover/place.js';
import type { Logger } from './logger.js';
import { Steering } from './reuse-port.js';
import type { Workers } from './workers.js';

/** How long the new process may take until it knows its clusters. */
export const READY_MS = 30_000;
/** Connections that were being made when the new process appeared come to the old one within this time. */
const SETTLE_MS = 500;
/** The last of them, after the new process has been given a place that stays. */
const LAST_MS = 50;
/** Clients of the old process that say nothing for so long are resting. */
const IDLE_MS = 1000;
const DRAIN_S = 30;
const SHUTDOWN_S = 60;
const SECONDS_MAX = 86_400;

/** What one proxy says of itself to the one that is to replace it. */
export interface Predecessor {
  readonly pid: number;
  readonly workers: number;
}

/** `30,60` and the like; what is not given has Envoy's meaning and smaller values. */
export function drainTimes(text: string | undefined): DrainTimes {
  const [drain, shutdown] = (text ?? '').split(',').map(Number);
  const seconds = (value: number | undefined, otherwise: number) =>
    value !== undefined && value >= 0 && value <= SECONDS_MAX && Number.isFinite(value) ? value : otherwise;
  const drainMs = seconds(text ? drain : undefined, DRAIN_S) * 1000;
  return { idleMs: IDLE_MS, drainMs, shutdownMs: Math.max(drainMs, seconds(shutdown, SHUTDOWN_S) * 1000) };
}

/** How long a process that was let in may take until it asks the old one to drain. */
const TAKING_MS = 15_000;
const LOOK_MS = 100;

/** What the old process knows of the one that is to replace it: there is one at a time, and it may die at any moment. */
export class Succession {
  pid = 0;
  /** A program was started to take over. */
  private starting = false;

  /** Runs one attempt. @throws Error when there is another one */
  async attempt<Result>(run: () => Promise<Result>): Promise<Result> {
    if (this.starting || isAlive(this.pid)) throw new Error('another upgrade is under way');
    this.starting = true;
    try {
      return await run();
    } finally {
      this.starting = false;
    }
  }

  /** A process asks for the listeners. @throws Error when another one has them */
  admit(pid: number): void {
    if (pid !== this.pid && isAlive(this.pid)) throw new Error(`process ${this.pid} takes over already`);
    this.pid = pid;
  }

  /** Resolves with true when it died, or fell silent, before it had taken over; false once it has. */
  async fails(done: () => boolean): Promise<boolean> {
    const end = performance.now() + TAKING_MS;
    while (!done()) {
      if (!isAlive(this.pid) || performance.now() > end) {
        this.pid = 0;
        return true;
      }
      await Bun.sleep(LOOK_MS);
    }
    return false;
  }
}

function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The side of the new process. */
export class TakeOver {
  private constructor(
    private readonly path: string,
    readonly old: Predecessor,
    private readonly times: string | undefined,
    private readonly logger: Logger,
  ) {}

  /** Null when no other proxy is to be replaced, or it is gone: then this is an ordinary start. */
  static async find(environment: NodeJS.ProcessEnv, logger: Logger): Promise<TakeOver | null> {
    const path = environment[TAKE_OVER];
    if (!path) return null;
    const state = await askOther(path, { ask: 'state' }).catch(() => null);
    if (state === null || state.pid === process.pid) return null;
    return new TakeOver(path, state as unknown as Predecessor, environment[TAKE_OVER_TIMES], logger);
  }

  /**
   * Has the other one stop to accept clients. None is refused or reset: new connections are steered here first, and
   * what the other one has in its queues it accepts before it closes them.
   */
  async listeners(ports: readonly number[], workers: number): Promise<void> {
    const steering = new Steering(ports);
    const steered = ports.length === 0 || steering.toUs();
    if (!steered) this.logger.warn('connections cannot be steered here; some may be reset while the old proxy closes');
    await Bun.sleep(SETTLE_MS);
    if (workers >= this.old.workers) steering.toOne();
    await Bun.sleep(LAST_MS);
    try {
      await askOther(this.path, { ask: 'yield', pid: process.pid });
    } finally {
      steering.release();
    }
  }

  /**
   * Has the other one let its clients go and end. Asked before this one takes its control socket.
   * @param workers they go on with clients that the other one passes on
   */
  async rest(workers: Pick<Workers, 'adopts' | 'adopt'>): Promise<void> {
    const place = workers.adopts ? HandoverPlace.open(`${this.path}.clients`) : null;
    if (place !== null) workers.adopt(() => place.share());
    await askOther(this.path, { ask: 'drain', times: this.times ?? '', clients: place?.path ?? '' });
    this.logger.info(`took over from process ${this.old.pid}, which drains`);
    if (place !== null) void this.closeWhenGone(place, workers);
  }

  private async closeWhenGone(place: HandoverPlace, workers: Pick<Workers, 'adopt'>): Promise<void> {
    while (isAlive(this.old.pid)) await Bun.sleep(LOOK_MS);
    workers.adopt(null);
    place.close();
  }
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
