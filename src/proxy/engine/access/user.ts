import { type Bytes, hexBytes } from '../bytes.js';
import type { Catalog, CommandEntry } from '../commands/catalog.js';
import { CommandFlag } from '../commands/spec.js';
import type { Client } from '../core/client.js';
import type { Guard } from '../core/guard.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { Counter } from '../stats.js';
import { Cidr, hostOf, readIp } from './addresses.js';
import { Denied, Selector } from './permissions.js';
import { KeyAccess, parseRules, type Rules, type SelectorRules } from './rules.js';
import type { UserSettings } from './settings.js';
import { Verdict } from './shapes.js';

/** SET, key, value. */
const PLAIN_SET_WORDS = 3;
/** Bytes of a SHA-256. */
const HASH_BYTES = 32;

/** A user of the proxy. Its permissions are compiled when the first of its commands comes. */
export class User implements Guard {
  readonly name: string;
  readonly rules: Rules;
  readonly enabled: boolean;
  private readonly hashes: readonly Uint8Array[];
  private readonly sources: readonly Cidr[];
  private selectors: readonly Selector[] | null = null;
  /** The first of them, once they are compiled. */
  private own!: Selector;
  /** By the commands' numbers; empty before the first one, and too short when commands have been learned since. */
  private verdicts = new Uint8Array(0);

  constructor(
    readonly settings: UserSettings,
    private readonly catalog: Catalog,
  ) {
    this.name = settings.name;
    this.rules = parseRules(settings.rules, null);
    this.enabled = settings.enabled && this.rules.on !== false;
    this.hashes = settings.passwords.map(hexBytes);
    this.sources = settings.sourceCidrs.map((text) => new Cidr(text));
  }

  /** Any password is right. */
  get nopass(): boolean {
    return this.rules.nopass;
  }

  /** May do everything: nothing needs to be looked at. */
  get unlimited(): boolean {
    const [{ commands, keys, channels }] = this.rules.selectors as [SelectorRules];
    return (
      !this.settings.readOnly &&
      commands.length === 1 &&
      commands[0].kind === 'all' &&
      commands[0].allow &&
      keys.some(({ access, pattern }) => access === KeyAccess.both && pattern === '*') &&
      channels.includes('*')
    );
  }

  /** May run scripts or functions, though not everything: what these do is not limited by the rules. */
  get escapes(): boolean {
    if (!this.enabled || this.unlimited) return false;
    const selectors = this.compiled();
    return SCRIPTS.some((name) => {
      const entry = this.catalog.named(name);
      return entry !== null && selectors.some((selector) => selector.verdict(entry) !== Verdict.never);
    });
  }

  /** Whether the SHA-256 of a password is one of the user's. Takes the same time whichever it is, and if it is none. */
  knows(hash: Uint8Array): boolean {
    let right = false;
    for (const expected of this.hashes) {
      let difference = 0;
      for (let i = 0; i < HASH_BYTES; i++) difference |= expected[i] ^ hash[i];
      if (difference === 0) right = true;
    }
    return right || this.nopass;
  }

  /** Whether it may come from there. A client of a Unix socket has no address: then no range contains it. */
  mayComeFrom(address: string): boolean {
    if (this.sources.length === 0) return true;
    const ip = readIp(hostOf(address));
    return ip !== null && this.sources.some((source) => source.contains(ip));
  }

  /** @param channel one character a byte */
  mayHear(channel: string, isPattern: boolean): boolean {
    const bytes = Uint8Array.from(channel, (character) => character.charCodeAt(0));
    return this.compiled().some((selector) => selector.mayHear(bytes, isPattern));
  }

  // ---------------------------------------------------------------- commands

  refusal(client: Client, entry: CommandEntry, bytes: Bytes, frame: RequestFrame): Bytes | null {
    const verdict = this.verdicts[entry.id];
    if (verdict === Verdict.always) return null;
    if (verdict === Verdict.set && frame.count === PLAIN_SET_WORDS) {
      if (this.own.mayTouch(bytes, frame.starts[1], frame.ends[1], KeyAccess.write)) return null;
    } else if (verdict >= Verdict.oneKey && verdict !== Verdict.set) {
      const { keyAt } = entry;
      if (keyAt >= frame.count) return null;
      if (this.own.mayTouch(bytes, frame.starts[keyAt], frame.ends[keyAt], verdict - Verdict.oneKey)) return null;
    } else if (
      verdict >= Verdict.check &&
      verdict !== Verdict.container &&
      this.own.check(entry, bytes, frame) === Denied.no
    )
      return null;
    return this.look(client, entry, bytes, frame);
  }

  private look(client: Client, given: CommandEntry, bytes: Bytes, frame: RequestFrame): Bytes | null {
    const { core } = client;
    let entry = given;
    if (entry.spec.container && !entry.container && frame.count > 1) {
      entry = core.catalog.findSubcommand(entry, bytes, frame.starts[1], frame.ends[1]) ?? entry;
    }
    const denied = this.check(entry, bytes, frame);
    if (denied === Denied.no) return null;
    // MULTI refuses it itself, with a word of its own, before Redis looks at permissions.
    if (client.details.queued >= 0 && entry.spec.flags & CommandFlag.no_multi) return null;
    core.count(COUNTERS[denied]);
    return core.text(this.explain(entry, denied));
  }

  /** Why the user may not give the command: one of `Denied`. */
  check(entry: CommandEntry, bytes: Uint8Array, frame: RequestFrame): number {
    let denied: number = Denied.command;
    for (const selector of this.compiled()) {
      const why = selector.check(entry, bytes, frame);
      if (why === Denied.no) return Denied.no;
      denied = Math.max(denied, why);
    }
    return denied;
  }

  /** The error in Redis's words. */
  explain({ name }: CommandEntry, denied: number): string {
    const kind = name === 'exec' ? '-EXECABORT Transaction discarded because of: NOPERM' : '-NOPERM';
    if (denied === Denied.key) return `${kind} No permissions to access a key\r\n`;
    if (denied === Denied.channel) return `${kind} No permissions to access a channel\r\n`;
    if (denied === Denied.sortBy) return '-ERR BY option of SORT denied due to insufficient ACL permissions.\r\n';
    if (denied === Denied.sortGet) return '-ERR GET option of SORT denied due to insufficient ACL permissions.\r\n';
    return `${kind} User ${this.name} has no permissions to run the '${name}' command\r\n`;
  }

  /** The permissions, for all commands that are known now. */
  private compiled(): readonly Selector[] {
    const { entries } = this.catalog;
    if (this.selectors !== null && this.verdicts.length === entries.length) return this.selectors;
    const selectors = this.rules.selectors.map((rules) => new Selector(rules, this.catalog, this.settings.readOnly));
    this.verdicts = Uint8Array.from(entries, (entry) => verdictOf(selectors, entry));
    this.selectors = selectors;
    this.own = selectors[0];
    return selectors;
  }
}

const SCRIPTS = ['eval', 'eval_ro', 'evalsha', 'evalsha_ro', 'fcall', 'fcall_ro'];

/** By `Denied`. */
const COUNTERS = [
  0,
  Counter.downstream_acl_denied_cmd,
  Counter.downstream_acl_denied_key,
  Counter.downstream_acl_denied_key,
  Counter.downstream_acl_denied_key,
  Counter.downstream_acl_denied_channel,
];

function verdictOf(selectors: readonly Selector[], entry: CommandEntry): number {
  if (selectors.length === 1) return selectors[0].verdict(entry);
  const verdicts = selectors.map((selector) => selector.verdict(entry));
  if (verdicts.includes(Verdict.container)) return Verdict.container;
  if (verdicts.includes(Verdict.always)) return Verdict.always;
  return verdicts.every((verdict) => verdict === Verdict.never) ? Verdict.never : Verdict.check;
}
