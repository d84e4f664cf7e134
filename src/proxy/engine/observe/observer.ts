import type { CommandEntry } from '../commands/catalog.js';
import { Route } from '../commands/routes.js';
import { COMMANDS } from '../commands/table.generated.js';
import type { Core } from '../core/core.js';
import type { Request } from '../core/request.js';
import { Counter, commandTimesAt, downstreamTimesAt } from '../stats.js';
import { BigValues } from './big-values.js';
import { HISTOGRAM_LENGTH, record } from './histogram.js';
import { HotKeys } from './hot-keys.js';
import { OBSERVE_TIMES, type ObserveSettings } from './settings.js';
import { SlowLog } from './slow-log.js';

/** No command and no reply is longer. */
const NEVER_BYTES = 2 ** 31 - 1;

const RATE_INTERVAL_MS = 1000;

/** What the main thread asks of a worker (`Relay`): all that it has noted, after forgetting it when told `clear`. */
export const Ask = {
  slowLog: 'observe.slowlog',
  hotKeys: 'observe.hotkeys',
  bigValues: 'observe.bigvalues',
} as const;

/** What a worker keeps an eye on: how long commands take, which take long, which keys are hot and which values big. */
export class Observer {
  /** Commands and replies of that many bytes are noted. */
  bigBytes = NEVER_BYTES;
  /** Commands of all workers in the last second or so. */
  commandsPerSecond = 0;
  private ratedMs = 0;
  private ratedCommands = 0;
  private slowerThanMs = Number.POSITIVE_INFINITY;
  /** Where a command's histogram is: this, and so much for each of the commands before it. */
  private timesAt = 0;
  private timesStep = 0;
  private settings: ObserveSettings | null = null;
  private readonly slowLog: SlowLog;
  private readonly bigValues: BigValues;
  private hotKeys: HotKeys | null = null;
  private readonly stats: Float64Array;

  constructor(private readonly core: Core) {
    this.stats = core.stats;
    this.slowLog = new SlowLog(core, 0);
    this.bigValues = new BigValues(core);
    core.relay.on(Ask.slowLog, (clear) => {
      if (clear === 'clear') this.slowLog.clear();
      return this.slowLog.all;
    });
    core.relay.on(Ask.hotKeys, () => this.hotKeys?.top(core.nowMs) ?? []);
    core.relay.on(Ask.bigValues, (clear) => {
      if (clear === 'clear') this.bigValues.clear();
      return this.bigValues.all;
    });
    this.follow();
  }

  /** Takes the settings when they are others than before. */
  private follow(): void {
    const settings = this.core.settings.observe ?? OBSERVE_TIMES;
    const before = this.settings;
    if (settings === before) return;
    this.settings = settings;
    const { commandTimes, slowerThanMicros, slowMax, bigValueBytes, hotKeySamples, hotKeysWindowMs } = settings;
    this.timesAt = commandTimes ? commandTimesAt(COMMANDS.length, 0) : downstreamTimesAt(COMMANDS.length);
    this.timesStep = commandTimes ? HISTOGRAM_LENGTH : 0;
    this.slowerThanMs = slowerThanMicros < 0 ? Number.POSITIVE_INFINITY : slowerThanMicros / 1000;
    this.slowLog.resize(slowMax);
    this.bigBytes = bigValueBytes > 0 ? bigValueBytes : NEVER_BYTES;
    if (hotKeySamples === before?.hotKeySamples && hotKeysWindowMs === before.hotKeysWindowMs) return;
    const { sampler } = this.core;
    if (this.hotKeys !== null) sampler.remove(this.hotKeys);
    this.hotKeys = hotKeySamples > 0 ? new HotKeys(sampler, hotKeySamples, hotKeysWindowMs, this.core.nowMs) : null;
    if (this.hotKeys !== null) sampler.add(this.hotKeys);
  }

  /** Called with every tick. */
  tick(): void {
    this.rate();
    this.countAnswered();
    this.countReplied();
    this.follow();
    this.slowLog.tick();
    this.hotKeys?.tick(this.core.nowMs);
  }

  private rate(): void {
    const passed = this.core.nowMs - this.ratedMs;
    if (passed < RATE_INTERVAL_MS) return;
    const commands = this.core.total(Counter.downstream_rq_total);
    this.commandsPerSecond = Math.round(((commands - this.ratedCommands) * 1000) / passed);
    this.ratedMs = this.core.nowMs;
    this.ratedCommands = commands;
  }

  // ---------------------------------------------------------------- times

  /*
   * The clock is read once a turn, so what goes through in one turn takes equally long. Such a run is counted here and
   * put into the histogram when it ends: that is half of what a look into the histogram costs.
   */
  private answeredEntry: CommandEntry | null = null;
  private answeredMs = 0;
  private answeredTimes = 0;
  private repliedAt = -1;
  private repliedMs = 0;
  private repliedTimes = 0;

  /** The reply of a client's command goes into its output. */
  answered(request: Request): void {
    const { entry } = request;
    if (request.span !== null) this.core.recorder.answered(request);
    if (entry === null) return;
    const ms = this.core.nowMs - request.startedMs;
    if (entry === this.answeredEntry && ms === this.answeredMs) this.answeredTimes++;
    else this.answeredOther(request, entry, ms);
  }

  private answeredOther(request: Request, entry: CommandEntry, ms: number): void {
    // Who waits for data, and has been made to by a task of its own, waits for other clients.
    if (request.bytes === null && entry.route === Route.blocking) return;
    this.countAnswered();
    if (ms < this.slowerThanMs) {
      this.answeredEntry = entry;
      this.answeredMs = ms;
      this.answeredTimes = 1;
      return;
    }
    record(this.stats, this.timesAt + entry.id * this.timesStep, ms);
    this.core.count(Counter.downstream_rq_slow);
    this.slowLog.note(request, ms);
  }

  private countAnswered(): void {
    const entry = this.answeredEntry;
    if (entry === null) return;
    record(this.stats, this.timesAt + entry.id * this.timesStep, this.answeredMs, this.answeredTimes);
    this.answeredEntry = null;
  }

  /** A node has answered a command, in so many bytes. @param timesAt histogram of its cluster; below 0: none */
  replied(request: Request, bytes: number, timesAt: number): void {
    const ms = this.core.nowMs - request.sentMs;
    if (request.span !== null) this.recorded(request, bytes, ms);
    if (timesAt === this.repliedAt && ms === this.repliedMs) this.repliedTimes++;
    else if (timesAt >= 0) {
      this.countReplied();
      this.repliedAt = timesAt;
      this.repliedMs = ms;
      this.repliedTimes = 1;
    }
    if (bytes >= this.bigBytes) this.bigValues.note('reply', request, bytes);
  }

  private recorded(request: Request, bytes: number, ms: number): void {
    request.span?.replied(this.core.readingLane?.node.address ?? '', bytes, this.core.nowMs, ms);
  }

  private countReplied(): void {
    if (this.repliedAt < 0) return;
    record(this.stats, this.repliedAt, this.repliedMs, this.repliedTimes);
    this.repliedAt = -1;
  }

  /** The reply waits for its turn, or for others that it is a part with. */
  kept(request: Request): void {
    // An error of the proxy's own may stand for a command that was never sent.
    if (request.attempts > 0) request.upstreamMs = this.core.nowMs - request.sentMs;
  }

  // ---------------------------------------------------------------- sizes

  /** A command of so many bytes is on its way. */
  bigRequest(request: Request, bytes: number): void {
    if (request.attempts === 0) this.bigValues.note('request', request, bytes);
  }
}
