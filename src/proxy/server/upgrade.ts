import { TAKE_OVER, TAKE_OVER_TIMES } from '../config/control-path.js';
import { askOther, type Company, keepCompany } from './control.js';
import type { DrainTimes } from './draining.js';
import { HandoverPlace } from './handover/place.js';
import { isNear, isSame, ownName, type ProcessName, readName, runs, wordsOf } from './handover/process-name.js';
import type { Logger } from './logger.js';
import { type HandoverPaths, heirPath } from './messages.js';
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

/** `30,60` and the like; what is not given has Envoy's meaning and smaller values. */
export function drainTimes(text: string | undefined): DrainTimes {
  const [drain, shutdown] = (text ?? '').split(',').map(Number);
  const seconds = (value: number | undefined, otherwise: number) =>
    value !== undefined && value >= 0 && value <= SECONDS_MAX && Number.isFinite(value) ? value : otherwise;
  const drainMs = seconds(text ? drain : undefined, DRAIN_S) * 1000;
  return { idleMs: IDLE_MS, drainMs, shutdownMs: Math.max(drainMs, seconds(shutdown, SHUTDOWN_S) * 1000) };
}

const LOOK_MS = 100;

/** What one proxy says of itself to the one that is to replace it. */
interface Predecessor {
  readonly name: ProcessName;
  readonly workers: number;
}

/** The side of the new process. */
export class TakeOver {
  private constructor(
    private readonly path: string,
    private readonly old: Predecessor,
    /** Null where its number tells whether it lives. */
    private readonly company: Company | null,
    private readonly times: string | undefined,
    private readonly logger: Logger,
  ) {}

  /**
   * Null when no other proxy is to be replaced, or it is gone: then this is an ordinary start.
   * @param place its control socket, where the environment names none; empty: nowhere
   */
  static async find(environment: NodeJS.ProcessEnv, place: string, logger: Logger): Promise<TakeOver | null> {
    const path = environment[TAKE_OVER] || place;
    if (path === '') return null;
    const state = await askOther(path, { ask: 'state' }).catch(() => null);
    if (state === null) return null;
    const name = readName(state);
    if (isSame(name, ownName())) return null;
    const company = isNear(name) ? null : await keepCompany(path, ownName());
    if (company === null && !isNear(name)) return null;
    return new TakeOver(path, { name, workers: Number(state.workers) }, company, environment[TAKE_OVER_TIMES], logger);
  }

  private get oldRuns(): boolean {
    return this.company === null ? runs(this.old.name.pid) : this.company.there;
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
      await askOther(this.path, { ask: 'yield', ...ownName() });
    } finally {
      steering.release();
    }
  }

  /**
   * Has the other one let its clients go and end. Asked before this one takes its control socket.
   * @param workers they go on with clients that the other one passes on
   */
  async rest(workers: Pick<Workers, 'adopts' | 'adopt' | 'count'>): Promise<void> {
    const path = `${this.path}.clients`;
    const place = workers.adopts ? HandoverPlace.open(path) : null;
    const heirs = place === null ? [] : openHeirs(path, workers.count);
    if (place !== null) workers.adopt((i) => ({ fd: place.share(), heirs: heirs[i]?.share() ?? -1 }));
    const places: HandoverPaths = { clients: place?.path ?? '', heirs: heirs.length };
    await askOther(this.path, { ask: 'drain', times: this.times ?? '', ...places });
    this.logger.info(`took over from ${wordsOf(this.old.name)}, which drains`);
    if (place !== null) void this.closeWhenGone([place, ...heirs], workers);
  }

  private async closeWhenGone(places: readonly HandoverPlace[], workers: Pick<Workers, 'adopt'>): Promise<void> {
    while (this.oldRuns) await Bun.sleep(LOOK_MS);
    this.company?.leave();
    workers.adopt(null);
    for (const place of places) place.close();
  }
}

/** A place for each worker; none where one of them cannot be had. */
function openHeirs(clients: string, workers: number): HandoverPlace[] {
  const places: HandoverPlace[] = [];
  for (let worker = 0; worker < workers; worker++) {
    const place = HandoverPlace.open(heirPath({ clients, heirs: workers }, worker));
    if (place !== null) places.push(place);
  }
  if (places.length === workers) return places;
  for (const place of places) place.close();
  return [];
}
