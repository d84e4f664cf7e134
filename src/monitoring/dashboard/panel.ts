/** What a dashboard shows, without Grafana's own words. Pure. */

export interface Query {
  /** PromQL; `$cluster`, `$instance` and `$__rate_interval` are filled in by Grafana. */
  readonly expression: string;
  /** What its series are called, with labels in `{{ }}`. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  readonly description: string;
  /** `stat`: one number; `series`: lines over time; `state`: 1 is good, everything else is not. */
  readonly kind: 'stat' | 'series' | 'state';
  /** One of Grafana's units: `short`, `bytes`, `percent`, `ops`, `ms`, `s`, `Bps`. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Columns of 24. */
  readonly width: number;
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** The selector of a metric's series of the cluster. */
export function of(metric: string, more = ''): string {
  return `${metric}{cluster="$cluster"${more === '' ? '' : `,${more}`}}`;
}

/** The same, of the nodes that are chosen. */
export function ofNode(metric: string, more = ''): string {
  return of(metric, `instance=~"$instance"${more === '' ? '' : `,${more}`}`);
}

/** How fast a counter grows, a second. */
export function rate(selector: string): string {
  return `rate(${selector}[$__rate_interval])`;
}

export function stat(title: string, description: string, expression: string, unit = 'short'): Panel {
  return { title, description, kind: 'stat', unit, queries: [{ expression, legend: '' }], width: 4 };
}

export function state(title: string, description: string, expression: string): Panel {
  return { title, description, kind: 'state', unit: 'short', queries: [{ expression, legend: '' }], width: 4 };
}

/** A panel of lines: `[expression, legend]` each. */
export function series(
  title: string,
  description: string,
  unit: string,
  ...queries: readonly (readonly [string, string])[]
): Panel {
  return {
    ...{ title, description, kind: 'series', unit, width: 8 },
    queries: queries.map(([expression, legend]) => ({ expression, legend })),
  };
}
