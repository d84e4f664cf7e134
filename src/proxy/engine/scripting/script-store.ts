import type { Allocate, Bytes } from '../bytes.js';
import { sha1 } from './sha1.js';

/** Bounds of what a worker remembers. */
export interface ScriptBounds {
  /** Scripts that were loaded, and scripts that were only run: so many of each. */
  readonly scriptsMax: number;
  /** Their bytes, of each. */
  readonly scriptBytesMax: number;
}

/** Scripts that are run by EVAL are remembered up to this size: each time, all of it is hashed. */
const EVALUATED_BYTES_MAX = 16 * 1024;

/** Scripts in the order of their use. */
class Recent<Key> {
  private readonly scripts = new Map<Key, Bytes>();
  bytes = 0;

  constructor(private readonly bounds: ScriptBounds) {}

  get size(): number {
    return this.scripts.size;
  }

  has(key: Key): boolean {
    return this.scripts.has(key);
  }

  get(key: Key): Bytes | null {
    const script = this.scripts.get(key);
    if (script === undefined) return null;
    this.scripts.delete(key);
    this.scripts.set(key, script);
    return script;
  }

  set(key: Key, script: Bytes): void {
    this.delete(key);
    this.scripts.set(key, script);
    this.bytes += script.length;
    for (const oldest of this.scripts.keys()) {
      if (this.scripts.size <= this.bounds.scriptsMax && this.bytes <= this.bounds.scriptBytesMax) return;
      this.delete(oldest);
    }
  }

  private delete(key: Key): void {
    this.bytes -= this.scripts.get(key)?.length ?? 0;
    this.scripts.delete(key);
  }

  clear(): void {
    this.scripts.clear();
    this.bytes = 0;
  }
}

/**
 * The scripts that went through this worker, least recently used out. What EVAL runs is told apart by a quick hash and
 * gets its SHA-1 only when somebody asks for a script that is not there.
 */
export class ScriptStore {
  private readonly named: Recent<string>;
  private readonly evaluated: Recent<number>;
  /** Of those, the ones without a name. */
  private unnamed: Bytes[] = [];

  constructor(
    private readonly allocate: Allocate,
    bounds: ScriptBounds,
  ) {
    this.named = new Recent(bounds);
    this.evaluated = new Recent(bounds);
  }

  get size(): number {
    return this.named.size;
  }

  /** The script with that digest (lower case); null when it is not known. */
  get(sha: string): Bytes | null {
    if (this.unnamed.length > 0 && !this.named.has(sha)) {
      for (const script of this.unnamed) this.named.set(sha1(script), script);
      this.unnamed = [];
    }
    return this.named.get(sha);
  }

  /** Keeps a script; its bytes must be its own. */
  set(sha: string, script: Bytes): void {
    this.named.set(sha, script);
  }

  /** A script runs by EVAL. */
  sawEval(bytes: Bytes, start: number, end: number): void {
    const size = end - start;
    if (size > EVALUATED_BYTES_MAX || size === 0) return;
    let hash = size;
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 0x01000193) ^ bytes[i]) | 0;
    // Two scripts of one hash: the second is not remembered, which EVALSHA is told as by any server that lacks it.
    if (this.evaluated.has(hash)) return;
    const script = this.allocate(size);
    bytes.copy(script, 0, start, end);
    this.evaluated.set(hash, script);
    this.unnamed.push(script);
    // The least recently used are gone from there: their names would only push out others.
    if (this.unnamed.length > this.evaluated.size) this.unnamed.shift();
  }

  clear(): void {
    this.named.clear();
    this.evaluated.clear();
    this.unnamed = [];
  }
}
