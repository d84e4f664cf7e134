/**
 * Regular expressions of whoever may read statistics, matched in time that grows with the text only: JavaScript's own
 * engine tries all ways through an expression, and one such as `(a+)+!` would keep the main thread busy for hours.
 * Everything is there but what needs such tries: references to groups, and looks ahead or behind.
 */

/** Steps that an expression may become; `a{1000}` are a thousand. */
const STEPS_MAX = 2000;

/** One step of a compiled expression: takes a character, holds at a place, or goes on at one or two others. */
type Step =
  | { readonly kind: 'take'; readonly takes: RegExp }
  | { readonly kind: 'hold'; readonly holds: (text: string, at: number) => boolean }
  | { readonly kind: 'fork'; one: number; other: number }
  | { readonly kind: 'found' };

const isWord = (text: string, at: number) => /\w/.test(text[at] ?? '');
const atBoundary = (text: string, at: number) => isWord(text, at - 1) !== isWord(text, at);

/** Adds its steps to a program. */
type Part = (program: Step[]) => void;

export class Pattern {
  private readonly program: Step[] = [];
  /** By steps: the place of the text at which each was last reached. */
  private readonly reached: Int32Array;
  private at = 0;
  private spent = 0;

  /** @throws Error when it is no expression, or one that is not served; its message says which */
  constructor(private readonly source: string) {
    new RegExp(source);
    const all = this.alternatives();
    if (this.at < source.length) throw new Error('a parenthesis is not opened');
    all(this.program);
    this.add({ kind: 'found' }, this.program);
    this.reached = new Int32Array(this.program.length);
  }

  /** Whether some part of the text fits. */
  test(text: string): boolean {
    this.reached.fill(-1);
    let now: number[] = [];
    for (let at = 0; at <= text.length; at++) {
      if (this.reach(0, text, at, now)) return true;
      const next: number[] = [];
      for (const step of now) {
        const { takes } = this.program[step] as { takes: RegExp };
        if (at < text.length && takes.test(text[at] as string) && this.reach(step + 1, text, at + 1, next)) return true;
      }
      now = next;
    }
    return false;
  }

  /** Notes the steps that may take the character at `at`, from this one on. True when nothing more is needed. */
  private reach(first: number, text: string, at: number, into: number[]): boolean {
    const open = [first];
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      if (this.reached[index] === at) continue;
      this.reached[index] = at;
      const step = this.program[index] as Step;
      if (step.kind === 'found') return true;
      if (step.kind === 'take') into.push(index);
      else if (step.kind === 'fork') open.push(step.other, step.one);
      else if (step.holds(text, at)) open.push(index + 1);
    }
    return false;
  }

  // ---------------------------------------------------------------- reading

  private add(step: Step, program: Step[]): number {
    if (program.length >= STEPS_MAX) throw new Error('it is too long');
    return program.push(step) - 1;
  }

  /** Repeats a part once more; also parts without a step cost something. */
  private again(part: Part, program: Step[]): void {
    if (++this.spent > STEPS_MAX) throw new Error('it is too long');
    part(program);
  }

  private alternatives(): Part {
    const all = [this.sequence()];
    while (this.source[this.at] === '|') {
      this.at++;
      all.push(this.sequence());
    }
    return all.reduceRight((rest, first) => (program) => {
      const fork = { kind: 'fork' as const, one: 0, other: 0 };
      fork.one = this.add(fork, program) + 1;
      first(program);
      const over = { kind: 'fork' as const, one: 0, other: 0 };
      fork.other = this.add(over, program) + 1;
      rest(program);
      over.one = over.other = program.length;
    });
  }

  private sequence(): Part {
    const parts: Part[] = [];
    while (this.at < this.source.length && !'|)'.includes(this.source[this.at] as string))
      parts.push(this.repeated(this.one()));
    return (program) => {
      for (const part of parts) part(program);
    };
  }

  /** A part with the `*`, `+`, `?` or `{1,2}` behind it. */
  private repeated(part: Part): Part {
    const match = /^(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})\??/.exec(this.source.slice(this.at));
    if (match === null) return part;
    this.at += match[0].length;
    const [, sign, from, comma, to] = match;
    const least = sign === undefined ? Number(from) : Number(sign === '+');
    const most =
      sign === undefined ? (comma === undefined ? least : Number(to || Infinity)) : sign === '?' ? 1 : Infinity;
    return (program) => {
      for (let i = 0; i < least; i++) this.again(part, program);
      if (most === Infinity) {
        const fork = { kind: 'fork' as const, one: 0, other: 0 };
        const place = this.add(fork, program);
        fork.one = place + 1;
        part(program);
        this.add({ kind: 'fork', one: place, other: place }, program);
        fork.other = program.length;
        return;
      }
      const forks: { other: number }[] = [];
      for (let i = least; i < most; i++) {
        const fork = { kind: 'fork' as const, one: 0, other: 0 };
        fork.one = this.add(fork, program) + 1;
        forks.push(fork);
        this.again(part, program);
      }
      for (const fork of forks) fork.other = program.length;
    };
  }

  private one(): Part {
    const { source } = this;
    const character = source[this.at] as string;
    if (character === '(') return this.group();
    if (character === '^' || character === '$') {
      this.at++;
      return this.hold(character === '^' ? (_, at) => at === 0 : (text, at) => at === text.length);
    }
    const rest = source.slice(this.at);
    if (/^\\[bB]/.test(rest)) {
      this.at += 2;
      return this.hold(rest[1] === 'b' ? atBoundary : (text, at) => !atBoundary(text, at));
    }
    if (/^\\[1-9k]/.test(rest)) throw new Error('references to groups are not served');
    // One character, for which JavaScript's own words can do no harm.
    const [word] = /^(?:\[(?:\\.|[^\]\\])*\]|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\c[a-zA-Z]|\\?.)/s.exec(rest) as [
      string,
    ];
    this.at += word.length;
    // What stands for itself here could be half of something else alone.
    const takes = new RegExp(/^[[\\.]/.test(word) ? word : `[\\u${word.charCodeAt(0).toString(16).padStart(4, '0')}]`);
    return (program) => void this.add({ kind: 'take', takes }, program);
  }

  private hold(holds: (text: string, at: number) => boolean): Part {
    return (program) => void this.add({ kind: 'hold', holds }, program);
  }

  private group(): Part {
    this.at++;
    const { source } = this;
    if (source[this.at] === '?') {
      const [opening] = /^\?(?::|<[^=!>]+>)/.exec(source.slice(this.at)) ?? [];
      if (opening === undefined) throw new Error('looks ahead and behind are not served');
      this.at += opening.length;
    }
    const inner = this.alternatives();
    this.at++; // its parenthesis: JavaScript has said that it is closed
    return inner;
  }
}
