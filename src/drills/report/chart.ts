/** One drawing of a timeline as inline SVG: a value by second, with what has happened marked. Pure. */
import type { DrillEvent } from '../drill.js';
import { escaped, figure, inSeconds } from './markup.js';
import { type Scale, secondTicks } from './scale.js';

export const WIDTH = 960;
const LEFT = 64;
const RIGHT = 12;
const TOP = 26;
const FOOT = 24;
const MARKS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

export interface Series {
  readonly name: string;
  /** A class of the page: its colour. */
  readonly kind: 'clients' | 'beside' | 'errors';
  readonly shape: 'line' | 'bars';
  /** One a second. */
  readonly values: readonly number[];
}

export interface ChartOptions {
  readonly title: string;
  readonly unit: string;
  readonly height: number;
  readonly seconds: number;
  readonly scale: Scale;
  readonly series: readonly Series[];
  readonly events: readonly DrillEvent[];
}

/** The letter of an event; `*` when letters are used up. */
export const markOf = (index: number): string => MARKS[index] ?? '*';

export function chart(options: ChartOptions): string {
  const { title, unit, height, seconds, scale, series, events } = options;
  const bottom = height - FOOT;
  const wide = (WIDTH - LEFT - RIGHT) / Math.max(1, seconds);
  const x = (second: number) => LEFT + second * wide;
  const y = (value: number) => bottom - scale.at(value) * (bottom - TOP);
  const grid = scale.ticks.map(
    (tick) =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${place(y(tick))}" y2="${place(y(tick))}"/>` +
      `<text class="tick" x="${LEFT - 8}" y="${place(y(tick) + 4)}" text-anchor="end">${figure(tick)}</text>`,
  );
  const times = secondTicks(seconds).map(
    (second) => `<text class="tick" x="${place(x(second))}" y="${height - 6}" text-anchor="middle">${second} s</text>`,
  );
  const marks = events.map((event, index) => {
    const at = place(x(Math.min(seconds, event.atMs / 1_000)));
    return (
      `<g class="event"><title>${escaped(`${inSeconds(event.atMs)} s: ${event.text}`)}</title>` +
      `<line x1="${at}" x2="${at}" y1="${TOP - 6}" y2="${bottom}"/>` +
      // Those that are close to each other do not hide each other.
      `<text x="${at}" y="${TOP - 8 - (index % 2) * 9}" text-anchor="middle">${markOf(index)}</text></g>`
    );
  });
  const drawn = series.map((each) =>
    each.shape === 'line' ? line(each, { x, y, bottom }) : bars(each, { x, y, bottom }),
  );
  return [
    `<figure><figcaption>${escaped(title)} <span class="unit">${escaped(unit)}</span>${legend(series)}</figcaption>`,
    `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">`,
    ...grid,
    ...times,
    ...drawn,
    ...marks,
    ...hints(options, { x, wide, bottom }),
    '</svg></figure>',
  ].join('\n');
}

interface Places {
  readonly x: (second: number) => number;
  readonly y: (value: number) => number;
  readonly bottom: number;
}

function line({ values, kind }: Series, { x, y, bottom }: Places): string {
  const points = values.map((value, second) => `${place(x(second + 0.5))},${place(y(value))}`);
  const first = place(x(0.5));
  const last = place(x(values.length - 0.5));
  const area =
    kind === 'clients' && values.length > 0
      ? `<path class="area ${kind}" d="M${first},${bottom} L${points.join(' ')} L${last},${bottom} Z"/>`
      : '';
  return `${area}<polyline class="line ${kind}" points="${points.join(' ')}"/>`;
}

function bars({ values, kind }: Series, { x, y, bottom }: Places): string {
  const wide = Math.max(1, x(1) - x(0) - 1);
  return values
    .map((value, second) =>
      value === 0
        ? ''
        : `<rect class="bar ${kind}" x="${place(x(second))}" y="${place(y(value))}" width="${place(wide)}" height="${place(Math.max(1, bottom - y(value)))}"/>`,
    )
    .join('');
}

/** What a reader sees of a second under the pointer, without a script. */
function hints(
  { seconds, series, unit }: ChartOptions,
  { x, wide, bottom }: { x: Places['x']; wide: number; bottom: number },
): string[] {
  return Array.from({ length: seconds }, (_, second) => {
    const values = series.flatMap(({ name, values: of }) => {
      const value = of[second];
      return value === undefined ? [] : [`${name}: ${figure(value)} ${unit}`];
    });
    return (
      `<rect class="hint" x="${place(x(second))}" y="${TOP}" width="${place(wide)}" height="${bottom - TOP}">` +
      `<title>${escaped([`second ${second}`, ...values].join('\n'))}</title></rect>`
    );
  });
}

function legend(series: readonly Series[]): string {
  if (series.length < 2) return '';
  return series.map(({ name, kind }) => ` <span class="key ${kind}">${escaped(name)}</span>`).join('');
}

const place = (value: number) => String(Math.round(value * 100) / 100);
