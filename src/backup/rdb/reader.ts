/**
 * Reads an RDB file as it comes, in pieces of any size, and tells of each key. It looks into no value: it finds where each
 * one ends. Pure.
 *
 * What it holds is the last bytes of a piece (18 at most), and what somebody wants that is not whole yet: a key, a value,
 * a function. Each of those is bounded, and grows only as its bytes come.
 */

import { forgetAttributes, readAttribute } from './attributes.js';
import { Crc64 } from './crc64.js';
import { Cursor } from './cursor.js';
import { UnsupportedRdb } from './errors.js';
import { newAbout, type RdbEvents, type RdbReaderOptions, STRING_MAX_BYTES } from './events.js';
import { KEY_METADATA_SINCE, MAGIC_BYTES, Opcode, type RdbFamily, TRAILER_BYTES } from './format.js';
import { Pieces, WantedString } from './kept.js';
import { readMagic } from './magic.js';
import {
  KEY_METADATA,
  PAIR_SKIPPED,
  type Program,
  STRING_SKIPPED,
  skippedPrograms,
  valuePrograms,
} from './programs.js';
import { ValueWalker } from './value-walker.js';

/** What comes next. */
const State = {
  magic: 0,
  opcode: 1,
  key: 2,
  value: 3,
  /** Something that nobody asks for. */
  skipped: 4,
  metadata: 5,
  function: 6,
  auxiliaryName: 7,
  auxiliaryValue: 8,
  trailer: 9,
  ended: 10,
} as const;
type StateNumber = (typeof State)[keyof typeof State];

export class RdbReader {
  readonly #events: RdbEvents;
  readonly #cursor = new Cursor();
  readonly #walker = new ValueWalker();
  readonly #sum: Crc64 | undefined;
  readonly #key: WantedString;
  readonly #string: WantedString;
  readonly #kept: Pieces;
  readonly #keeps: boolean;
  readonly #about = newAbout();
  #state: StateNumber = State.magic;
  #family: RdbFamily = 'redis';
  #version = 0;
  #values: readonly (Program | undefined)[] = [];
  #skipped: ReadonlyMap<number, Program> = new Map();
  /** Where what is kept begins in the cursor's bytes. */
  #keptFrom = 0;
  #auxiliaryName = '';
  #slotImportAt: number | undefined;
  #failure: unknown;

  constructor(events: RdbEvents, options: RdbReaderOptions = {}) {
    const { keyMaxBytes = STRING_MAX_BYTES, valueMaxBytes = STRING_MAX_BYTES, checksum = false } = options;
    this.#events = events;
    this.#keeps = events.value !== undefined;
    this.#key = new WantedString(keyMaxBytes, 'a key');
    this.#string = new WantedString(keyMaxBytes, 'a string');
    this.#kept = new Pieces(valueMaxBytes, 'a value');
    this.#sum = checksum ? new Crc64() : undefined;
  }

  /** Who wrote it, as its first bytes tell: what Valkey 8 writes is Redis's. */
  get family(): RdbFamily {
    return this.#family;
  }

  /** Of the format; 0 until the first bytes have come. */
  get version(): number {
    return this.#version;
  }

  /** All of the file was read. */
  get ended(): boolean {
    return this.#state === State.ended;
  }

  /** Bytes of the file that were read. */
  get position(): number {
    return this.#cursor.position;
  }

  /** Where a note on slots begins that is not whole yet. */
  get slotImportAt(): number | undefined {
    return this.#slotImportAt;
  }

  /**
   * The next bytes of the file. Nobody may write to them afterwards.
   * @throws UnsupportedRdb, DamagedRdb: the same again for all that is pushed after it
   */
  push(piece: Buffer): void {
    if (this.#failure !== undefined) throw this.#failure;
    const cursor = this.#cursor;
    try {
      cursor.take(piece);
      this.#keptFrom = 0;
      while (this.#next()) {
        // What comes next may be there already.
      }
      if (this.#state < State.trailer) this.#sum?.add(cursor.bytes, 0, cursor.at);
      if (this.#state === State.ended && cursor.at < cursor.end) throw cursor.damaged('something is behind its end');
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  /** Nothing more comes. @throws DamagedRdb when that is too early, or what {@link push} threw */
  finish(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#state !== State.ended) throw this.#cursor.damaged('it ends too early');
  }

  /** Reads what comes next; false when it is not whole. */
  #next(): boolean {
    switch (this.#state) {
      case State.magic:
        return this.#magic();
      case State.opcode:
        return this.#opcode();
      case State.key:
        return this.#readKey();
      case State.value:
        return this.#value();
      case State.skipped:
        if (!this.#walker.walk(this.#cursor)) return false;
        this.#state = State.opcode;
        if (this.#slotImportAt !== undefined) this.#tellSlotImport(this.#slotImportAt);
        return true;
      case State.metadata:
        return this.#metadata();
      case State.trailer:
        return this.#trailer();
      case State.ended:
        return false;
      default:
        return this.#wanted();
    }
  }

  #magic(): boolean {
    const { bytes, at, end } = this.#cursor;
    if (end - at < MAGIC_BYTES) return false;
    const { family, version } = readMagic(bytes.toString('latin1', at, at + MAGIC_BYTES));
    this.#cursor.at += MAGIC_BYTES;
    this.#family = family;
    this.#version = version;
    this.#values = valuePrograms(family, version);
    this.#skipped = skippedPrograms(family);
    this.#state = State.opcode;
    return true;
  }

  /** The type of a key, or what stands between keys. */
  #opcode(): boolean {
    const cursor = this.#cursor;
    const { bytes, at, end } = cursor;
    if (at >= end) return false;
    const code = bytes[at] as number;
    if (this.#values[code] !== undefined) {
      cursor.at = at + 1;
      this.#about.type = code;
      this.#state = State.key;
      return true;
    }
    const isWhole = readAttribute(code, cursor, this.#about);
    if (isWhole !== undefined) return isWhole;
    switch (code) {
      case Opcode.function:
        return this.#begin(this.#events.function && State.function, STRING_SKIPPED);
      case Opcode.auxiliary:
        return this.#begin(this.#events.auxiliary && State.auxiliaryName, PAIR_SKIPPED);
      case Opcode.end:
        cursor.at = at + 1;
        this.#sum?.add(bytes, 0, cursor.at);
        this.#state = State.trailer;
        return true;
      default:
        return this.#rareOpcode(code);
    }
  }

  #rareOpcode(code: number): boolean {
    const { at, position } = this.#cursor;
    const program = this.#skipped.get(code);
    if (program !== undefined) {
      if (code === Opcode.slotImport) this.#slotImportAt = position;
      return this.#begin(undefined, program);
    }
    if (code !== Opcode.keyMetadata || this.#family !== 'redis' || this.#version < KEY_METADATA_SINCE) {
      throw new UnsupportedRdb(`values of type ${code}`, position);
    }
    this.#begin(State.metadata, KEY_METADATA);
    this.#walker.begin(KEY_METADATA);
    this.#keptFrom = at;
    return true;
  }

  #tellSlotImport(start: number): void {
    this.#slotImportAt = undefined;
    this.#events.slotImport?.(start, this.#cursor.position);
  }

  /** Behind an opcode stands what somebody wants, or what is passed over. */
  #begin(wanted: StateNumber | undefined, otherwise: Program): boolean {
    this.#cursor.at++;
    this.#state = wanted ?? State.skipped;
    if (wanted === undefined) this.#walker.begin(otherwise);
    return true;
  }

  /** A function, or a pair of what the server says of itself. */
  #wanted(): boolean {
    const string = this.#string.read(this.#cursor);
    if (string === undefined) return false;
    if (this.#state === State.auxiliaryName) {
      this.#auxiliaryName = string.toString('latin1');
      this.#state = State.auxiliaryValue;
      return true;
    }
    if (this.#state === State.function) this.#events.function?.(string);
    else this.#events.auxiliary?.(this.#auxiliaryName, string);
    this.#state = State.opcode;
    return true;
  }

  #readKey(): boolean {
    const cursor = this.#cursor;
    const { at } = cursor;
    if (!this.#key.hasBegun && cursor.stringHead()) {
      const { at: start, bodyBytes } = cursor;
      // Nearly all keys are as they are, and whole in what has come.
      if (cursor.encoding < 0 && bodyBytes <= cursor.end - start) {
        this.#key.check(bodyBytes, cursor.position);
        cursor.at = start + bodyBytes;
        this.#tellKey(cursor.bytes, start, cursor.at);
        return true;
      }
      cursor.at = at;
    }
    const key = this.#key.read(cursor);
    if (key === undefined) return false;
    this.#tellKey(key, 0, key.length);
    return true;
  }

  #tellKey(bytes: Buffer, start: number, end: number): void {
    const about = this.#about;
    this.#events.key?.(bytes, start, end, about);
    forgetAttributes(about);
    this.#walker.begin(this.#values[about.type] as Program);
    this.#keptFrom = this.#cursor.at;
    this.#state = State.value;
  }

  #value(): boolean {
    const cursor = this.#cursor;
    const isWhole = this.#walker.walk(cursor);
    if (this.#keeps) {
      const start = this.#keptFrom;
      if (!isWhole || !this.#kept.isEmpty) this.#kept.add(cursor, start);
      if (!isWhole) {
        this.#kept.check(this.#walker.missingBytes, cursor.position);
        return false;
      }
      if (this.#kept.isEmpty) {
        this.#kept.check(cursor.at - start, cursor.position);
        this.#events.value?.(cursor.bytes, start, cursor.at);
      } else {
        const value = this.#kept.take();
        this.#events.value?.(value, 0, value.length);
      }
    }
    if (isWhole) this.#state = State.opcode;
    return isWhole;
  }

  #metadata(): boolean {
    const cursor = this.#cursor;
    const isWhole = this.#walker.walk(cursor);
    if (this.#keeps) this.#kept.add(cursor, this.#keptFrom);
    if (!isWhole) return false;
    this.#about.hasMetadata = true;
    if (this.#keeps) this.#about.metadata = this.#kept.take();
    this.#state = State.opcode;
    return true;
  }

  #trailer(): boolean {
    const { bytes, at, end } = this.#cursor;
    if (end - at < TRAILER_BYTES) return false;
    if (this.#sum !== undefined) {
      const sum = Buffer.alloc(TRAILER_BYTES);
      const found = bytes.subarray(at, at + TRAILER_BYTES);
      // All zero: the server was told not to sum.
      if (!found.equals(sum)) {
        this.#sum.write(sum);
        if (!found.equals(sum)) throw this.#cursor.damaged('its sum is another one');
      }
    }
    this.#cursor.at += TRAILER_BYTES;
    this.#state = State.ended;
    return true;
  }
}
