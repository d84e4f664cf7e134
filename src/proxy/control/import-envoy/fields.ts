/**
 * Reading an Envoy message field by field. What nobody asks for is told in the end (`rest`), so nothing is lost in
 * silence. Values are never shown, only their places: any of them may be a secret.
 */

/** Something of the Envoy configuration that is not in ours as it was. */
export interface ImportNote {
  /** Its place in the Envoy configuration: `static_resources.clusters[0].health_checks`. */
  readonly path: string;
  readonly message: string;
}

/** Notes are bounded: what is beyond is only counted. */
const NOTES_MAX = 1000;
const PATH_CHARACTERS_MAX = 300;

export class Notes {
  readonly #notes: ImportNote[] = [];
  #more = 0;

  add(path: string, message: string): void {
    if (this.#notes.length < NOTES_MAX) this.#notes.push({ path: printable(path), message: printable(message) });
    else this.#more++;
  }

  /** All notes, in the order of the Envoy configuration's reading. */
  list(): ImportNote[] {
    if (this.#more === 0) return [...this.#notes];
    return [...this.#notes, { path: '', message: `${this.#more} more that are not listed` }];
  }
}

/** One line without control characters, of bounded length. */
export function printable(text: string): string {
  const line = text.replace(/[^\x20-\x7e\u00a0-\u{10ffff}]|[\u2028\u2029\ud800-\udfff\ufeff]/gu, '?');
  return line.length > PATH_CHARACTERS_MAX ? `${line.slice(0, PATH_CHARACTERS_MAX)}...` : line;
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** protobuf's other spelling: `stat_prefix` → `statPrefix`. */
const camel = (name: string) => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

const DURATION = /^(\d{1,12})(?:\.(\d{1,9}))?s$/;

/** One message, and which of its fields were looked at. */
export class Fields {
  readonly #taken = new Set<string>(['@type']);
  readonly #value: Record<string, unknown>;

  constructor(
    value: unknown,
    readonly path: string,
    readonly notes: Notes,
  ) {
    this.#value = isObject(value) ? value : {};
  }

  /** Where a field is, for notes. */
  at(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  /** A note about a field. */
  note(name: string, message: string): void {
    this.notes.add(this.at(name), message);
  }

  /** The field as it stands, in either spelling; undefined where it is not set. */
  take(name: string): unknown {
    for (const spelling of [name, camel(name)]) {
      this.#taken.add(spelling);
      if (!Object.hasOwn(this.#value, spelling)) continue;
      const value = this.#value[spelling];
      if (value !== null && value !== undefined) return value;
    }
    return undefined;
  }

  has(name: string): boolean {
    return this.take(name) !== undefined;
  }

  /** Fields that mean nothing here, or nothing more than what was read. */
  ignore(...names: string[]): void {
    for (const name of names) this.take(name);
  }

  /** A field that has no place in our configuration; what that means, when it is set. */
  lose(name: string, message: string): void {
    if (this.has(name)) this.note(name, message);
  }

  message(name: string): Fields | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    if (!isObject(value)) this.note(name, 'not carried over: it should hold settings of its own');
    return new Fields(value, this.at(name), this.notes);
  }

  /** The messages of a list; one alone counts as a list of one. */
  messages(name: string): Fields[] {
    return this.items(name).flatMap(({ value, path }) => {
      if (isObject(value)) return [new Fields(value, path, this.notes)];
      this.notes.add(path, 'not carried over: it should hold settings of its own');
      return [];
    });
  }

  items(name: string): { value: unknown; path: string }[] {
    const value = this.take(name);
    if (value === undefined) return [];
    if (!Array.isArray(value)) return [{ value, path: this.at(name) }];
    return value.map((each: unknown, index) => ({ value: each, path: `${this.at(name)}[${index}]` }));
  }

  text(name: string): string | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    if (typeof value === 'string') return value;
    // YAML reads an unquoted number or truth value as such.
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    this.note(name, 'not carried over: not a text');
    return undefined;
  }

  /** A number, also in protobuf's other forms: as text, or as `{ value: 5 }`. */
  number(name: string): number | undefined {
    const given = this.take(name);
    if (given === undefined) return undefined;
    const value = isObject(given) && Object.hasOwn(given, 'value') ? given['value'] : given;
    const number = typeof value === 'string' && /^\d{1,15}(?:\.\d{1,15})?$/.test(value) ? Number(value) : value;
    if (typeof number === 'number' && Number.isFinite(number)) return number;
    this.note(name, 'not carried over: not a number');
    return undefined;
  }

  /** A whole number, brought within our bounds. */
  whole(name: string, least: number, most: number): number | undefined {
    const number = this.number(name);
    if (number === undefined) return undefined;
    const within = Math.min(Math.max(Math.round(number), least), most);
    if (within !== number) this.note(name, `became ${within}: from ${least} to ${most} is possible`);
    return within;
  }

  flag(name: string): boolean | undefined {
    const given = this.take(name);
    if (given === undefined) return undefined;
    const value = isObject(given) && Object.hasOwn(given, 'value') ? given['value'] : given;
    if (typeof value === 'boolean') return value;
    if (value === 'true' || value === 'True') return true;
    if (value === 'false' || value === 'False') return false;
    this.note(name, 'not carried over: neither true nor false');
    return undefined;
  }

  /** An enumeration's word in capitals; Envoy takes small letters and numbers, too. */
  word(name: string, numbers: readonly string[]): string | undefined {
    const value = this.take(name);
    if (typeof value === 'number') return numbers[value] ?? String(value);
    return this.text(name)?.toUpperCase();
  }

  /** A duration (`5s`, `0.25s`, or seconds and nanos) as our configuration writes it, within our bounds. */
  duration(name: string, leastMs: number, mostMs: number): string | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    const ms = milliseconds(value);
    if (ms === null) {
      this.note(name, 'not carried over: not a duration');
      return undefined;
    }
    const within = Math.min(Math.max(Math.round(ms), leastMs), mostMs);
    if (within !== ms)
      this.note(name, `became ${within}ms: whole milliseconds from ${leastMs} to ${mostMs} are possible`);
    return within % 1000 === 0 ? `${within / 1000}s` : `${within}ms`;
  }

  /** Notes every field that was not looked at. */
  rest(): void {
    for (const name of Object.keys(this.#value)) {
      if (this.#taken.has(name) || this.#value[name] === null) continue;
      this.note(name, 'not carried over: there is nothing like it here');
    }
  }
}

function milliseconds(value: unknown): number | null {
  if (typeof value === 'string') {
    const [, seconds, fraction] = DURATION.exec(value) ?? [];
    return seconds === undefined ? null : Number(seconds) * 1000 + Number(`0.${fraction ?? '0'}`) * 1000;
  }
  if (!isObject(value)) return null;
  const { seconds = 0, nanos = 0 } = value;
  const ms = Number(seconds) * 1000 + Number(nanos) / 1e6;
  return Number.isFinite(ms) && ms >= 0 ? ms : null;
}
