export interface OutlierSettings {
  readonly consecutive_local_origin_failure: number;
  readonly interval: number;
  readonly base_ejection_time: number;
  readonly max_ejection_time: number;
  readonly max_ejection_percent: number;
  readonly enforcing_consecutive_local_origin_failure: number;
  readonly successful_active_health_check_uneject_host: boolean;
}

interface Outlier {
  /** Ejections in a row: goes down by one in an interval without. */
  times: number;
  /** 0: it is not ejected. */
  untilMs: number;
}

/** Which hosts of a cluster are ejected because of what workers saw of them. Holds no clock and no timer. */
export class Outliers {
  /** Ejections that were made, and why others were not. */
  readonly counts = { detected: 0, enforced: 0, overflow: 0 };
  private readonly outliers = new Map<string, Outlier>();

  constructor(
    private readonly settings: OutlierSettings,
    /** In [0, 1). */
    private readonly random: () => number = Math.random,
  ) {}

  get active(): number {
    let count = 0;
    for (const { untilMs } of this.outliers.values()) if (untilMs > 0) count++;
    return count;
  }

  ejected(address: string): boolean {
    return (this.outliers.get(address)?.untilMs ?? 0) > 0;
  }

  /** How often in a row it has been ejected. */
  times(address: string): number {
    return this.outliers.get(address)?.times ?? 0;
  }

  /**
   * A worker has seen so many failures of a host, with nothing good between them. True when the host is ejected now.
   * @param hosts how many there are
   * @param mayEject false for a host whose work no other can do
   */
  failed(address: string, consecutive: number, hosts: number, mayEject: boolean, nowMs: number): boolean {
    const { settings } = this;
    if (consecutive < settings.consecutive_local_origin_failure || this.ejected(address)) return false;
    this.counts.detected++;
    if (!mayEject || this.random() * 100 >= settings.enforcing_consecutive_local_origin_failure) return false;
    const { active } = this;
    if (active > 0 && ((active + 1) * 100) / hosts > settings.max_ejection_percent) {
      this.counts.overflow++;
      return false;
    }
    const times = this.times(address) + 1;
    const lastsMs = Math.min(settings.max_ejection_time, settings.base_ejection_time * times);
    this.outliers.set(address, { times, untilMs: nowMs + lastsMs });
    this.counts.enforced++;
    return true;
  }

  /** Called once an interval: lets those go whose time is over. Returns their addresses. */
  sweep(nowMs: number): string[] {
    const over: string[] = [];
    for (const [address, outlier] of this.outliers) {
      if (outlier.untilMs === 0) {
        if (--outlier.times <= 0) this.outliers.delete(address);
      } else if (outlier.untilMs <= nowMs) {
        outlier.untilMs = 0;
        over.push(address);
      }
    }
    return over;
  }

  /** A health check of the host has succeeded. True when that ends its ejection. */
  answered(address: string): boolean {
    const outlier = this.outliers.get(address);
    if (outlier === undefined || outlier.untilMs === 0) return false;
    if (!this.settings.successful_active_health_check_uneject_host) return false;
    outlier.untilMs = 0;
    return true;
  }

  /** Goes on from what was seen under other settings. */
  inherit(before: Outliers): void {
    Object.assign(this.counts, before.counts);
    for (const [address, outlier] of before.outliers) this.outliers.set(address, { ...outlier });
  }

  /** Forgets hosts that are gone. */
  keep(addresses: ReadonlySet<string>): void {
    for (const address of this.outliers.keys()) if (!addresses.has(address)) this.outliers.delete(address);
  }
}
