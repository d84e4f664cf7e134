import { hexBytes } from '../bytes.js';
import { KERNEL_MODULE } from './kernel.generated.js';

/**
 * The loops of commands of very many keys, as WebAssembly: for a thousand keys, what JavaScript does in 20 to 40 µs takes
 * 4 to 6 there, as it has 64-bit integers and copies eight bytes at once. Whoever calls it has the same in TypeScript, for
 * fewer keys, for what does not fit, and for where there is no WebAssembly. Its source is scripts/kernel/kernel.ts.
 */

/** From this number of keys on, it pays to bring them there and back. */
export const KERNEL_KEYS_MIN = 64;
/** No more keys than that at once. */
export const KERNEL_KEYS_MAX = 4096;

/** Tables of 32-bit numbers; see the source. */
type Table =
  | 'STARTS'
  | 'ENDS'
  | 'SLOT_OF_KEY'
  | 'NEXT_KEY'
  | 'CHAINED_KEYS'
  | 'FIRST_KEY'
  | 'LAST_KEY'
  | 'SLOT_OF_GROUP'
  | 'MARK_OF_GROUP'
  | 'NEXT_GROUP'
  | 'FIRST_GROUP'
  | 'LAST_GROUP'
  | 'NODE_OF_BATCH'
  | 'KEY_OF_BATCH'
  | 'GROUP_OF_KEY'
  | 'KEYS_OF_GROUP'
  | 'SLOTS'
  | 'COMMAND_AT'
  | 'FIRST_OF_BATCH'
  | 'REPLY_END'
  | 'HASHES';

/** What the runtime has for WebAssembly, as far as it is needed here; the engine knows no runtime's types. */
interface WebAssemblyRuntime {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

/** A number that the module exports. */
interface Constant {
  readonly value: number;
}

/** What the module gives. */
type Exports = { readonly [name in Table | 'KEYS_MAX' | 'WINDOW_BYTES' | 'INPUT' | 'OUTPUT']: Constant } & {
  readonly memory: { readonly buffer: ArrayBuffer };
  hashArguments(base: number, step: number, count: number): void;
  writeCommands(base: number, step: number, batches: number, name: number): number;
  gatherValues(keys: number, groups: number): number;
};

/** Its memory is of one thread and valid until the next call. */
export class Kernel {
  /** All of its memory. */
  readonly memory: Uint8Array;
  /** Addresses of what goes in and what comes out. */
  readonly input: number;
  readonly output: number;
  /** Bytes that have room at each of them. */
  readonly windowBytes: number;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly groupOfKey: Int32Array;
  readonly keysOfGroup: Int32Array;
  readonly slots: Int32Array;
  readonly commandAt: Int32Array;
  readonly firstOfBatch: Int32Array;
  readonly replyEnd: Int32Array;
  /** Halves of hashes, the lower one first. */
  readonly hashes: Uint32Array;

  constructor(readonly run: Exports) {
    const { buffer } = run.memory;
    this.memory = new Uint8Array(buffer);
    this.input = run.INPUT.value;
    this.output = run.OUTPUT.value;
    this.windowBytes = run.WINDOW_BYTES.value;
    this.starts = this.table('STARTS', 2 * KERNEL_KEYS_MAX + 1);
    this.ends = this.table('ENDS', 2 * KERNEL_KEYS_MAX + 1);
    this.groupOfKey = this.table('GROUP_OF_KEY');
    this.keysOfGroup = this.table('KEYS_OF_GROUP');
    this.slots = this.table('SLOTS');
    this.commandAt = this.table('COMMAND_AT');
    this.firstOfBatch = this.table('FIRST_OF_BATCH');
    this.replyEnd = this.table('REPLY_END');
    this.hashes = new Uint32Array(buffer, run.HASHES.value, 2 * KERNEL_KEYS_MAX);
  }

  /** One of its tables. */
  table(name: Table, length = KERNEL_KEYS_MAX + 1): Int32Array {
    return new Int32Array(this.run.memory.buffer, this.run[name].value, length);
  }
}

/** Undefined before the first command that needs it; null when there is none. */
let kernel: Kernel | null | undefined;

/** The thread's kernel, for a command of so many keys; null when it is not worth it, or cannot be. */
export function kernelFor(keys: number): Kernel | null {
  if (keys < KERNEL_KEYS_MIN || keys > KERNEL_KEYS_MAX) return null;
  if (kernel === undefined) kernel = load();
  return kernel;
}

/** Takes about a millisecond. */
function load(): Kernel | null {
  const { WebAssembly } = globalThis as unknown as { WebAssembly?: WebAssemblyRuntime };
  if (WebAssembly === undefined) return null;
  try {
    const module = new WebAssembly.Module(hexBytes(KERNEL_MODULE));
    return new Kernel(new WebAssembly.Instance(module).exports as Exports);
  } catch {
    // No memory for it, or it is not allowed: everything goes on as without it.
    return null;
  }
}
