/** Passes over a value whose end nobody knows before it was read. Keeps nothing of it. Pure. */
import type { Cursor } from './cursor.js';
import { ModuleOpcode } from './format.js';
import { NESTED_MAX, type Program, Step } from './programs.js';

/** The lengths of a number as text that say that it is infinite, or none. */
const TEXT_NUMBER_SPECIAL = 253;

export class ValueWalker {
  #program: Program = Int32Array.of(Step.end, 0);
  #step = 0;
  /** For each repetition that is under way: where it begins, and how often it still comes. */
  readonly #starts = new Int32Array(NESTED_MAX);
  readonly #left = new Float64Array(NESTED_MAX);
  #depth = 0;
  /** Bytes of a string that are still to come. */
  #skip = 0;

  /** At least so many bytes are still to come, when {@link walk} said that there are some. */
  get missingBytes(): number {
    return this.#skip;
  }

  begin(program: Program): void {
    this.#program = program;
    this.#step = 0;
    this.#depth = 0;
    this.#skip = 0;
  }

  /**
   * Goes on. Each step takes a byte at least, so that no promise of billions of elements lasts longer than their bytes.
   * @returns whether the value is whole; otherwise all that could be read is read
   */
  walk(cursor: Cursor): boolean {
    if (this.#skip > 0) {
      this.#skip = cursor.pass(this.#skip);
      if (this.#skip > 0) return false;
    }
    const program = this.#program;
    for (;;) {
      const step = this.#step;
      switch (program[step]) {
        case Step.end:
          return true;
        case Step.string:
          if (!cursor.stringHead()) return false;
          this.#skip = cursor.pass(cursor.bodyBytes);
          break;
        case Step.length:
          if (!cursor.length()) return false;
          break;
        case Step.bytes:
          this.#skip = cursor.pass(program[step + 1] as number);
          break;
        case Step.repeat:
          if (!cursor.length()) return false;
          if (cursor.value === 0) {
            this.#step = this.#afterRepetition(step);
            continue;
          }
          this.#starts[this.#depth] = step + 2;
          this.#left[this.#depth++] = cursor.value;
          break;
        case Step.again: {
          const inner = this.#depth - 1;
          const left = (this.#left[inner] as number) - 1;
          this.#left[inner] = left;
          if (left > 0) {
            this.#step = this.#starts[inner] as number;
            continue;
          }
          this.#depth = inner;
          break;
        }
        case Step.textNumber:
          if (!this.#textNumber(cursor)) return false;
          break;
        default:
          if (!this.#module(cursor)) return false;
      }
      this.#step = step + 2;
      if (this.#skip > 0) return false;
    }
  }

  #afterRepetition(from: number): number {
    let depth = 0;
    for (let step = from; ; step += 2) {
      if (this.#program[step] === Step.repeat) depth++;
      if (this.#program[step] === Step.again && --depth === 0) return step + 2;
    }
  }

  #textNumber(cursor: Cursor): boolean {
    if (cursor.at >= cursor.end) return false;
    const length = cursor.bytes[cursor.at++] as number;
    if (length < TEXT_NUMBER_SPECIAL) this.#skip = cursor.pass(length);
    return true;
  }

  /** One thing after the other that the module wrote; true at its end mark. */
  #module(cursor: Cursor): boolean {
    for (;;) {
      const start = cursor.at;
      if (!cursor.length()) return false;
      let whole = true;
      switch (cursor.value) {
        case ModuleOpcode.end:
          return true;
        case ModuleOpcode.signed:
        case ModuleOpcode.unsigned:
          whole = cursor.length();
          break;
        case ModuleOpcode.float:
          this.#skip = cursor.pass(4);
          break;
        case ModuleOpcode.double:
          this.#skip = cursor.pass(8);
          break;
        case ModuleOpcode.string:
          whole = cursor.stringHead();
          if (whole) this.#skip = cursor.pass(cursor.bodyBytes);
          break;
        default:
          throw cursor.damaged(`a module has written what is marked ${cursor.value}`);
      }
      // What is marked comes together with its mark: otherwise it is read again when it is whole.
      if (!whole) cursor.at = start;
      if (!whole || this.#skip > 0) return false;
    }
  }
}
