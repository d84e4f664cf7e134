/**
 * `.env` as a shell reads it (`set -a; source .env`), without running anything: assignments with quotes, comments, line
 * continuations and variables. Pure.
 */

export interface DotenvProblem {
  /** From 1. */
  readonly line: number;
  /** The variable that is not read because of it; undefined where the line is no assignment. */
  readonly name?: string;
  /** Never holds a value: it may be a secret. */
  readonly message: string;
}

export interface Dotenv {
  readonly values: ReadonlyMap<string, string>;
  readonly problems: readonly DotenvProblem[];
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;
/** What ends a word, or would make a shell do more than assign. */
const OPERATORS = new Set([';', '&', '|', '<', '>', '(', ')']);
/** Inside double quotes a backslash is for these only. */
const ESCAPED = new Set(['$', '`', '"', '\\']);
const COMMANDS = "this would run a command, which forge does not do; write the value itself, or quote it with '";

class Fault extends Error {}

class Reader {
  readonly values = new Map<string, string>();
  readonly problems: DotenvProblem[] = [];
  readonly #text: string;
  readonly #environment: NodeJS.ProcessEnv;
  #at = 0;

  constructor(text: string, environment: NodeJS.ProcessEnv) {
    this.#text = text;
    this.#environment = environment;
  }

  read(): Dotenv {
    while (this.#at < this.#text.length) this.#line();
    return { values: this.values, problems: this.problems };
  }

  #line(): void {
    this.#blanks();
    const char = this.#text[this.#at];
    if (char === undefined) return;
    if (char === '\n' || char === '#') {
      this.#skipLine();
      return;
    }
    const start = this.#at;
    const line = this.#lineNumber(start);
    let name: string | undefined;
    try {
      const exported = /^export[ \t]+/.exec(this.#text.slice(start, start + 80))?.[0].length ?? 0;
      this.#at += exported;
      name = NAME.exec(this.#text.slice(this.#at, this.#at + 256))?.[0];
      if (name === undefined || this.#text[this.#at + name.length] !== '=') {
        name = undefined;
        throw new Fault('this is no assignment; write NAME=value, without blanks around =');
      }
      this.#at += name.length + 1;
      this.values.set(name, this.#value());
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (name !== undefined) this.values.delete(name);
      this.problems.push({ line, ...(name === undefined ? {} : { name }), message: error.message });
      this.#skipLine();
    }
  }

  /** The value after `=`, and the rest of its line, which may only be a comment. */
  #value(): string {
    let value = '';
    if (this.#text[this.#at] === '~' && /^(?:\/|\s|$)/.test(this.#text[this.#at + 1] ?? '')) {
      value += this.#environment['HOME'] ?? '~';
      this.#at++;
    }
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined || char === '\n' || char === ' ' || char === '\t') break;
      if (char === "'") value += this.#single();
      else if (char === '"') value += this.#double();
      else if (char === '\\') value += this.#escape();
      else if (char === '$') value += this.#variable();
      else if (char === '`') throw new Fault(COMMANDS);
      else if (OPERATORS.has(char)) throw new Fault(`an unquoted ${char} ends the value; quote it`);
      else {
        value += char;
        this.#at++;
      }
    }
    this.#blanks();
    const next = this.#text[this.#at];
    if (next !== undefined && next !== '\n' && next !== '#') throw new Fault('a value with blanks needs quotes');
    this.#skipLine();
    return value;
  }

  #single(): string {
    const end = this.#text.indexOf("'", this.#at + 1);
    if (end < 0) throw new Fault("a quote (') is not closed");
    const value = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return value;
  }

  #double(): string {
    const start = this.#at;
    let value = '';
    this.#at++;
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) {
        // So that what follows on the next lines is still read.
        this.#at = start;
        throw new Fault('a quote (") is not closed');
      }
      if (char === '"') break;
      if (char === '`') throw new Fault(COMMANDS);
      if (char === '$') value += this.#variable();
      else if (char === '\\') {
        const next = this.#text[this.#at + 1] ?? '';
        if (next === '\n') value += '';
        else value += ESCAPED.has(next) ? next : `\\${next}`;
        this.#at += 2;
      } else {
        value += char;
        this.#at++;
      }
    }
    this.#at++;
    return value;
  }

  #escape(): string {
    const next = this.#text[this.#at + 1];
    this.#at += next === undefined ? 1 : 2;
    return next === undefined || next === '\n' ? '' : next;
  }

  /** `$NAME`, `${NAME}`, `${NAME:-default}`, from the lines above, then the environment. */
  #variable(): string {
    const rest = this.#text.slice(this.#at, this.#at + 1024);
    if (rest.startsWith('$(')) throw new Fault(COMMANDS);
    const match = /^\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(:?-([^${}`"'\\]*))?\}|([A-Za-z_][A-Za-z0-9_]*))/.exec(rest);
    if (match === null) {
      if (/^\$[{0-9*@#?!-]/.test(rest))
        throw new Fault("of a shell's expansions, only variables with or without a default are read; quote a $ with '");
      this.#at++;
      return '$';
    }
    this.#at += match[0].length;
    const name = (match[1] ?? match[4]) as string;
    const value = this.values.get(name) ?? this.#environment[name];
    const fallback = match[2] === undefined ? undefined : (match[3] as string);
    if (value === undefined || (value === '' && match[2]?.startsWith(':'))) {
      // The scripts ran with `set -u`, too: half a password is worse than none.
      if (fallback === undefined) throw new Fault(`$${name} is not set; quote a $ that means itself with '`);
      return fallback;
    }
    return value;
  }

  #blanks(): void {
    while (this.#text[this.#at] === ' ' || this.#text[this.#at] === '\t') this.#at++;
  }

  #skipLine(): void {
    const end = this.#text.indexOf('\n', this.#at);
    this.#at = end < 0 ? this.#text.length : end + 1;
  }

  #lineNumber(offset: number): number {
    return this.#text.slice(0, offset).split('\n').length;
  }
}

/**
 * The assignments of a `.env` file; the last of a name counts. Lines that are none, or that a shell would have to run,
 * are problems, and the rest is read all the same.
 * @param environment for variables in values
 */
export function parseDotenv(text: string, environment: NodeJS.ProcessEnv = {}): Dotenv {
  // Line ends of another system are not part of a value; nor is a byte order mark of the first name.
  return new Reader(text.replace(/^\ufeff/, '').replaceAll('\r\n', '\n'), environment).read();
}
