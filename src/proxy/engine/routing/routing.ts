import { type Allocate, type Bytes, copyBytes, utf8Bytes } from '../bytes.js';
import type { Router } from '../core/router.js';
import { Prefixes } from './prefixes.js';
import { type CatchAll, type PrefixRoute, Read, type RouteTable, readNumber } from './table.js';

/** A cluster that gets copies of commands. */
export interface Mirror {
  readonly router: Router;
  readonly fraction: number;
  readonly excludeReads: boolean;
}

/** What a route means for a key: its cluster, its name there, and who gets a copy. */
export class Way {
  readonly router: Router;
  readonly mirrors: readonly Mirror[];
  /** Where commands that only read go: a number of `Read`. */
  readonly read: number;
  /** The upstream's key is another. */
  readonly rewrites: boolean;
  private readonly removed: number;
  /** What stands around the key; at least one text. */
  private readonly texts: readonly Bytes[];
  private readonly textBytes: number;

  constructor(route: CatchAll & Partial<PrefixRoute>, routers: readonly Router[], allocate: Allocate) {
    this.router = routers[route.cluster];
    this.mirrors = route.mirrors.map(({ cluster, fraction, excludeReads }) => ({
      router: routers[cluster],
      fraction,
      excludeReads,
    }));
    this.read = readNumber(route.readPolicy ?? this.router.settings.readPolicy ?? 'MASTER');
    this.removed = route.removePrefix ? utf8Bytes(route.prefix ?? '', allocate).length : 0;
    this.texts = (route.keyFormatter ?? ['', '']).map((text) => utf8Bytes(text, allocate));
    this.textBytes = this.texts.reduce((sum, { length }) => sum + length, 0);
    this.rewrites = this.removed > 0 || route.keyFormatter != null;
  }

  /** Bytes of the upstream's key, for one of so many. */
  lengthOf(length: number): number {
    return this.textBytes + (length - this.removed) * (this.texts.length - 1);
  }

  /** Writes the upstream's key for `bytes[start, end)` at `at`; returns the offset after it. */
  write(bytes: Bytes, start: number, end: number, out: Bytes, at: number): number {
    const { texts } = this;
    at = copyBytes(texts[0], 0, texts[0].length, out, at);
    for (let i = 1; i < texts.length; i++) {
      at = copyBytes(bytes, start + this.removed, end, out, at);
      at = copyBytes(texts[i], 0, texts[i].length, out, at);
    }
    return at;
  }
}

/** Chooses the way of a key by its prefix. */
export class Routing {
  /** Of keys without a prefix of the table; null: they have no upstream. */
  readonly catchAll: Way | null;
  /** The way of all keys, when there is only one and it has no mirrors: most is easier then. */
  readonly only: Way | null;
  private readonly prefixes: Prefixes | null;
  private readonly ways: readonly Way[];

  constructor(table: RouteTable, routers: readonly Router[], allocate: Allocate) {
    this.catchAll = table.catchAll === null ? null : new Way(table.catchAll, routers, allocate);
    this.ways = table.routes.map((route) => new Way(route, routers, allocate));
    const prefixes = table.routes.map(({ prefix }) => utf8Bytes(prefix, allocate));
    this.prefixes = prefixes.length === 0 ? null : new Prefixes(prefixes, table.caseInsensitive);
    this.only = this.ways.length === 0 && this.catchAll?.mirrors.length === 0 ? this.catchAll : null;
    for (const way of this.all()) if (way.read !== Read.master) way.router.reads.use();
  }

  *all(): Generator<Way> {
    if (this.catchAll !== null) yield this.catchAll;
    yield* this.ways;
  }

  /** The way of the key in `bytes[start, end)`; null when there is none. */
  wayOf(bytes: Uint8Array, start: number, end: number): Way | null {
    if (this.prefixes === null) return this.catchAll;
    const found = this.prefixes.find(bytes, start, end);
    return found < 0 ? this.catchAll : this.ways[found];
  }

  /** True when a Redis Cluster gets every command unchanged, and only its masters do: nothing has to be looked at. */
  get plain(): boolean {
    const { only } = this;
    return only !== null && only.read === Read.master && only.router.keySpace.clustered;
  }
}
