import { type ClusterConfig, formatAddress } from '../../config/schema.js';
import type { NodeEntry } from '../../engine/core/router.js';
import type { HostFailures } from '../../engine/core/runtime.js';
import type { Logger } from '../logger.js';
import { type Checked, HostCheck, type Verdict } from './host-check.js';
import { Outliers } from './outliers.js';

/** A statistic below `cluster.<name>.`. */
export interface HealthStatistic {
  readonly name: string;
  readonly value: number;
  readonly type: 'counter' | 'gauge';
}

/** The health of one host, as the admin pages show it. */
export interface HostHealth {
  /** Envoy's: `/failed_active_hc`, `/active_hc_timeout`, `/failed_outlier_check`; empty for a healthy one. */
  readonly flags: string;
  readonly health_check_success?: number;
  readonly health_check_failure?: number;
  readonly health_check_error?: string;
  readonly ejections?: number;
}

export interface ClusterHealthOptions {
  readonly cluster: ClusterConfig;
  /** The nodes that there are now. */
  entries(): NodeEntry[];
  connect(host: string, port: number, timeoutMs: number): Promise<Checked>;
  /** What the workers are to know, by the indices of nodes. */
  tell(out: number[], silent: number[], silentMs: number): void;
  /** Hosts among which keys are not to be divided, for now. */
  exclude(addresses: ReadonlySet<string>): void;
  /** The topology may be another one. */
  refresh(): void;
  readonly logger: Logger;
}

/**
 * Decides, for all workers, which hosts of a cluster are well: by checks of its own and by the failures that workers see.
 *
 * A replica that is not well is not read from. A master of a Redis Cluster cannot be replaced by anybody but the cluster:
 * when it does not answer, what is for it waits. A host of a sharded cluster that is not well gets nothing; its keys fail
 * at once, or are divided among the others (`unhealthy_hosts`).
 */
export class ClusterHealth {
  private readonly checks = new Map<string, HostCheck>();
  private readonly counts = { attempt: 0, success: 0, failure: 0, network_failure: 0 };
  private readonly outliers: Outliers | null;
  private timer: ReturnType<typeof setInterval> | null = null;
  private told = '';
  /** Verdicts that were made under other settings, until the hosts have checks of their own here. */
  private readonly inherited = new Map<string, Verdict>();
  private readonly noted = new Map<string, string>();
  private stopped = false;

  constructor(private readonly options: ClusterHealthOptions) {
    const { outlier_detection: outlier } = options.cluster;
    this.outliers = outlier === undefined ? null : new Outliers(outlier);
    if (outlier !== undefined) this.timer = setInterval(() => this.sweep(), outlier.interval);
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearInterval(this.timer);
    for (const check of this.checks.values()) check.stop();
    this.checks.clear();
  }

  /** Goes on from what was known under other settings: a host that was not well is so until the next verdict. */
  inherit(before: ClusterHealth | null): void {
    if (before === null) return;
    Object.assign(this.counts, before.counts);
    if (before.outliers !== null) this.outliers?.inherit(before.outliers);
    for (const [address, { verdict }] of before.checks) if (verdict.unhealthy) this.inherited.set(address, verdict);
  }

  /** The nodes have changed: the workers do not know of the new ones how they are. */
  changed(): void {
    if (this.stopped) return;
    const entries = this.options.entries();
    const addresses = new Set(entries.map((entry) => formatAddress(entry)));
    const [settings] = this.options.cluster.health_checks;
    for (const [address, check] of this.checks) {
      if (addresses.has(address)) continue;
      check.stop();
      this.checks.delete(address);
      this.noted.delete(address);
    }
    if (settings !== undefined) {
      for (const { host, port } of entries) {
        const address = formatAddress({ host, port });
        if (this.checks.has(address)) continue;
        const check: HostCheck = new HostCheck({
          settings,
          counts: this.counts,
          connect: (timeoutMs) => this.options.connect(host, port, timeoutMs),
          told: () => this.checked(address, check),
          now: () => performance.now(),
        });
        this.checks.set(address, check);
        const verdict = this.inherited.get(address);
        if (verdict !== undefined) {
          const { unhealthy, silent, lastFailure } = verdict;
          Object.assign(check.verdict, { unhealthy, silent, lastFailure });
          this.inherited.delete(address);
        }
      }
    }
    this.outliers?.keep(addresses);
    this.told = '';
    this.tell();
  }

  /** Failures that a worker has seen. */
  failed(hosts: readonly HostFailures[]): void {
    const { outliers, options } = this;
    if (outliers === null || this.stopped) return;
    const entries = options.entries();
    let changed = false;
    for (const { address, consecutive } of hosts) {
      const entry = entries.find((each) => formatAddress(each) === address);
      if (entry === undefined) continue;
      const now = performance.now();
      if (outliers.failed(address, consecutive, entries.length, this.replaceable(entry), now)) changed = true;
    }
    if (changed) this.tell();
  }

  private sweep(): void {
    if (this.outliers !== null && this.outliers.sweep(performance.now()).length > 0) this.tell();
  }

  private checked(address: string, check: HostCheck): void {
    if (this.stopped || this.checks.get(address) !== check) return;
    if (check.lastError === '') this.outliers?.answered(address);
    this.tell();
  }

  /** False for a master of a Redis Cluster: nobody but the cluster can replace it. */
  private replaceable(entry: NodeEntry): boolean {
    return this.options.cluster.type === 'sharded' || (entry.masterIndex ?? -1) >= 0;
  }

  private unhealthy(address: string): boolean {
    return this.checks.get(address)?.verdict.unhealthy === true || this.outliers?.ejected(address) === true;
  }

  /** Tells the workers when something has changed. */
  private tell(): void {
    const { cluster, logger } = this.options;
    const out: number[] = [];
    const silent: number[] = [];
    const excluded = new Set<string>();
    for (const entry of this.options.entries()) {
      const address = formatAddress(entry);
      if (this.checks.get(address)?.verdict.silent) silent.push(entry.index);
      const flags = this.host(address).flags;
      const before = this.noted.get(address) ?? '';
      if (flags !== before) {
        this.noted.set(address, flags);
        const fields = { cluster: cluster.name, host: address, reason: this.checks.get(address)?.lastError ?? '' };
        if (flags === '') logger.info('a host is healthy again', { cluster: cluster.name, host: address });
        else logger.warn(`a host is unhealthy: ${flags}`, fields);
        if (flags !== '' && !this.replaceable(entry)) this.options.refresh();
      }
      if (!this.unhealthy(address) || !this.replaceable(entry)) continue;
      out.push(entry.index);
      if ((entry.masterIndex ?? -1) < 0) excluded.add(address);
    }
    const text = JSON.stringify([out, silent]);
    if (text === this.told) return;
    this.told = text;
    if (cluster.type === 'sharded') this.options.exclude(cluster.unhealthy_hosts === 'REHASH' ? excluded : new Set());
    this.options.tell(out, silent, cluster.health_checks[0]?.timeout ?? 0);
  }

  // ---------------------------------------------------------------- what is shown

  host(address: string): HostHealth {
    const check = this.checks.get(address);
    let flags = '';
    if (check?.verdict.unhealthy) {
      flags += '/failed_active_hc';
      if (check.verdict.lastFailure === 'timeout') flags += '/active_hc_timeout';
    }
    if (this.outliers?.ejected(address)) flags += '/failed_outlier_check';
    return {
      flags,
      ...(check === undefined ? {} : { health_check_success: check.successes, health_check_failure: check.failures }),
      ...(check === undefined || check.lastError === '' ? {} : { health_check_error: check.lastError }),
      ...(this.outliers === null ? {} : { ejections: this.outliers.times(address) }),
    };
  }

  /** Hosts that are well, and those that are not in the table because they are not. */
  statistics(): HealthStatistic[] {
    const addresses = this.options.entries().map((entry) => formatAddress(entry));
    const healthy = addresses.filter((address) => !this.unhealthy(address)).length;
    const { type, unhealthy_hosts: policy } = this.options.cluster;
    const excluded = type === 'sharded' && policy === 'REHASH' ? addresses.length - healthy : 0;
    const gauge = (name: string, value: number): HealthStatistic => ({ name, value, type: 'gauge' });
    const counter = (name: string, value: number): HealthStatistic => ({ name, value, type: 'counter' });
    const statistics = [gauge('membership_healthy', healthy), gauge('membership_excluded', excluded)];
    if (this.options.cluster.health_checks.length > 0) {
      const well = [...this.checks.values()].filter(({ verdict }) => !verdict.unhealthy).length;
      statistics.push(
        counter('health_check.attempt', this.counts.attempt),
        counter('health_check.success', this.counts.success),
        counter('health_check.failure', this.counts.failure),
        counter('health_check.network_failure', this.counts.network_failure),
        gauge('health_check.healthy', well),
      );
    }
    if (this.outliers !== null) {
      const { detected, enforced, overflow } = this.outliers.counts;
      statistics.push(
        gauge('outlier_detection.ejections_active', this.outliers.active),
        counter('outlier_detection.ejections_enforced_total', enforced),
        counter('outlier_detection.ejections_detected_consecutive_local_origin_failure', detected),
        counter('outlier_detection.ejections_enforced_consecutive_local_origin_failure', enforced),
        counter('outlier_detection.ejections_overflow', overflow),
      );
    }
    return statistics;
  }
}
