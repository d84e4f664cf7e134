/**
 * A network of the test's own, in which hosts lose each other without a word: a namespace for each host, a bridge between
 * them. What is cut is sent to a card that nobody has, so it is neither refused nor answered, as when a switch fails.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type AtSignal, atSignal } from './at-signal.js';

/** 198.18.0.0/15 is for tests of networks (RFC 2544): nobody else's. One /24 each. */
const SUBNETS = 512;
const NOBODY = '02:00:00:00:00:01';
const COMMAND_MS = 10_000;
let made = 0;

export interface Host {
  readonly ip: string;
  /** '' for where this process is. */
  readonly namespace: string;
  /** Its network card. */
  readonly device: string;
  /** Words before a command that is to run there. */
  readonly enter: readonly string[];
}

/** What one host sends to the other is lost. */
export type OneWay = readonly [from: Host, to: Host];

/** Neither hears of the other. */
export const bothWays = (one: Host, other: Host): OneWay[] => [
  [one, other],
  [other, one],
];

export class PartitionNetwork {
  readonly #id = `f${process.pid.toString(36)}${(made++).toString(36)}`;
  readonly #subnet: string;
  readonly #directory = mkdtempSync(path.join(os.tmpdir(), 'forge-network-'));
  readonly #hosts: Host[] = [];
  readonly #cut = new Map<string, OneWay>();
  readonly #cutters: AtSignal[] = [];

  private constructor(subnet: string) {
    this.#subnet = subnet;
  }

  /** @returns null where namespaces cannot be made: no Linux, no root, no `ip` */
  static create(): PartitionNetwork | null {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) return null;
    const network = new PartitionNetwork(freeSubnet());
    try {
      network.#begin();
      return network;
    } catch {
      network.remove();
      return null;
    }
  }

  /** This process, which reaches all hosts unless it is cut off, too. */
  get here(): Host {
    return { ip: `${this.#subnet}.254`, namespace: '', device: this.#id, enter: [] };
  }

  /** The switch's end of a host's line, where the bridge `sw0` is. */
  lineOf(host: Host): { readonly port: string; readonly namespace: string } {
    return { port: `p${this.#hosts.indexOf(host) + 1}`, namespace: this.#switch };
  }

  get #switch(): string {
    return `${this.#id}-switch`;
  }

  #begin(): void {
    ip('netns', 'add', this.#switch);
    ip('-n', this.#switch, 'link', 'add', 'name', 'sw0', 'type', 'bridge');
    ip('-n', this.#switch, 'link', 'set', 'dev', 'sw0', 'up');
    ip('link', 'add', this.#id, 'type', 'veth', 'peer', 'name', 'root', 'netns', this.#switch);
    this.#plug('root');
    ip('addr', 'add', `${this.here.ip}/24`, 'dev', this.#id);
    ip('link', 'set', 'dev', this.#id, 'up');
  }

  #plug(port: string): void {
    ip('-n', this.#switch, 'link', 'set', 'dev', port, 'master', 'sw0');
    ip('-n', this.#switch, 'link', 'set', 'dev', port, 'up');
  }

  /** A further host, which reaches all others. */
  host(): Host {
    const number = this.#hosts.length + 1;
    const namespace = `${this.#id}-${number}`;
    ip('netns', 'add', namespace);
    const enter = ['nsenter', `--net=/run/netns/${namespace}`];
    const host = { ip: `${this.#subnet}.${number}`, namespace, device: 'eth0', enter };
    this.#hosts.push(host);
    ip('link', 'add', 'eth0', 'netns', namespace, 'type', 'veth', 'peer', 'name', `p${number}`, 'netns', this.#switch);
    this.#plug(`p${number}`);
    ip('-n', namespace, 'addr', 'add', `${host.ip}/24`, 'dev', 'eth0');
    for (const device of ['lo', 'eth0']) ip('-n', namespace, 'link', 'set', 'dev', device, 'up');
    return host;
  }

  /** How a server is started there. */
  runs({ ip: host, namespace, enter }: Host): { host: string; executable: string } {
    const executable = path.join(this.#directory, namespace);
    writeFileSync(executable, `#!/bin/sh\nexec ${enter.join(' ')} redis-server "$@"\n`, { mode: 0o755 });
    return { host, executable };
  }

  cut(ways: readonly OneWay[]): void {
    this.#remember(ways);
    for (const way of ways) ip(...cutting(way));
  }

  /** A process that cuts when it gets SIGTERM: so that somebody else says when. */
  async cutter(ways: readonly OneWay[]): Promise<AtSignal> {
    this.#remember(ways);
    const commands = JSON.stringify(ways.map((way) => `ip ${cutting(way).join(' ')}`).join(' && '));
    const cutter = await atSignal(
      `code = require('node:child_process').spawnSync('sh', ['-c', ${commands}]).status ?? 1`,
    );
    this.#cutters.push(cutter);
    return cutter;
  }

  #remember(ways: readonly OneWay[]): void {
    for (const way of ways) this.#cut.set(cutting(way).join(' '), way);
  }

  /** Everybody reaches everybody again. */
  heal(): void {
    for (const [from, to] of this.#cut.values()) {
      // What was to be cut, and was not, is no failure.
      spawnSync('ip', [...inside(from), 'neigh', 'del', to.ip, 'dev', from.device], { timeout: COMMAND_MS });
    }
    this.#cut.clear();
  }

  /** After the servers were stopped. */
  remove(): void {
    for (const cutter of this.#cutters) cutter.end();
    spawnSync('ip', ['link', 'del', this.#id], { timeout: COMMAND_MS });
    for (const name of [this.#switch, ...this.#hosts.map(({ namespace }) => namespace)]) {
      spawnSync('ip', ['netns', 'del', name], { timeout: COMMAND_MS });
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function cutting([from, to]: OneWay): string[] {
  return [...inside(from), 'neigh', 'replace', to.ip, 'lladdr', NOBODY, 'dev', from.device, 'nud', 'permanent'];
}

const inside = ({ namespace }: Host): string[] => (namespace === '' ? [] : ['-n', namespace]);

function ip(...words: string[]): string {
  const { status, stdout, stderr, error } = spawnSync('ip', words, { encoding: 'utf8', timeout: COMMAND_MS });
  if (status !== 0) throw new Error(`ip ${words.join(' ')}: ${stderr || error}`);
  return stdout;
}

function freeSubnet(): string {
  for (let attempt = 0; attempt < SUBNETS; attempt++) {
    const number = (process.pid * 3 + made + attempt) % SUBNETS;
    const subnet = `198.${18 + Math.floor(number / 256)}.${number % 256}`;
    const { stdout } = spawnSync('ip', ['route', 'show', `${subnet}.0/24`], { encoding: 'utf8', timeout: COMMAND_MS });
    if ((stdout ?? '').trim() === '') return subnet;
  }
  throw new Error('no subnet is free');
}
