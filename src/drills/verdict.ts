/** What a drill must show, and whether it did. Pure. */
import type { WorkloadReport } from './checking-workload.js';
import { SUBSCRIPTION } from './meter.js';

/** Undefined for what is not bounded: it is shown all the same. */
export interface Bounds {
  /** Errors that clients may see. */
  readonly errors?: number;
  /** Connections of listeners that may end; they count among the errors when this is not told. */
  readonly subscriptions?: number;
  /** Acknowledged writes, elements and messages that may be lost; and, counted apart, messages that may be late. */
  readonly losses?: number;
  /** Messages that may be heard again, after later ones; none when this is not told. */
  readonly repeats?: number;
  /** Those of what was stored alone: a message is lost with the connection over which it is to be heard, as it is by Redis. */
  readonly storedLosses?: number;
  /** The longest time in which a client may try without success, milliseconds. */
  readonly longestPauseMs?: number;
  /** How much longer that may be than beside it, for a client that knows the cluster, milliseconds. */
  readonly pauseBeyondMs?: number;
  /** What was stored, acknowledged so long before everything ended at once, milliseconds, must be there. */
  readonly keptAfterMs?: number;
}

/** One number with its bound. */
export interface Line {
  readonly what: string;
  readonly value: number;
  readonly unit: '' | 'ms';
  /** Undefined where nothing is asked for. */
  readonly bound?: number;
  /** The bound is the least that must be; else the most that may be. */
  readonly least?: true;
  readonly holds: boolean;
}

export interface Verdict {
  readonly passed: boolean;
  readonly lines: readonly Line[];
}

/** A drill in which hardly anything was done proves nothing. */
export const OPERATIONS_MIN = 100;

/** Replies that were on their way when their server ended arrive for so long. */
export const ON_THE_WAY_MS = 500;

/**
 * Wrong replies are never allowed, whatever the bounds say.
 * @param cuts when everything ended that had not reached a disk, milliseconds from the beginning of the workload on
 */
export function judge(
  report: WorkloadReport,
  bounds: Bounds,
  beside?: WorkloadReport,
  cuts: readonly number[] = [],
): Verdict {
  const all = Object.values(report.errors).reduce((sum, count) => sum + count, 0);
  const ended = bounds.subscriptions === undefined ? 0 : (report.errors[SUBSCRIPTION] ?? 0);
  const { ms } = report.longestPause;
  const lines = [
    atLeast('operations', report.operations, OPERATIONS_MIN),
    atMost('wrong replies', report.wrong, 0),
    atMost('errors', all - ended, bounds.errors),
    ...(bounds.subscriptions === undefined ? [] : [atMost('listeners cut off', ended, bounds.subscriptions)]),
    atMost('lost', report.losses, bounds.losses),
    ...(bounds.storedLosses === undefined
      ? []
      : [atMost('lost of what was stored', report.storedLosses, bounds.storedLosses)]),
    atMost('messages heard after later ones', report.late, bounds.losses),
    atMost('messages heard again', report.repeats, bounds.repeats ?? 0),
    atMost('keys not looked at in the end', report.unchecked, 0),
    atMost('longest pause', Math.round(ms), bounds.longestPauseMs, 'ms'),
  ];
  const { keptAfterMs } = bounds;
  if (keptAfterMs !== undefined) {
    const lost = report.storedLosses - report.lossTimes.filter((time) => isExcused(time, cuts, keptAfterMs)).length;
    lines.push(atMost(`lost, and not acknowledged in the last ${keptAfterMs} ms before the cut`, lost, 0));
  }
  if (beside !== undefined) {
    const beyond = Math.round(ms - beside.longestPause.ms);
    lines.push(atMost('pause beyond that of a cluster-aware client', beyond, bounds.pauseBeyondMs, 'ms'));
  }
  return { passed: lines.every(({ holds }) => holds), lines };
}

const isExcused = (time: number, cuts: readonly number[], keptAfterMs: number) =>
  cuts.some((cut) => time > cut - keptAfterMs && time < cut + ON_THE_WAY_MS);

/** A number that may not be higher than its bound. */
export function atMost(what: string, value: number, bound: number | undefined, unit: Line['unit'] = ''): Line {
  return { what, value, unit, ...(bound === undefined ? {} : { bound }), holds: bound === undefined || value <= bound };
}

function atLeast(what: string, value: number, bound: number): Line {
  return { what, value, unit: '', bound, least: true, holds: value >= bound };
}
