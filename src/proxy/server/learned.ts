import type { ClusterConfig } from '../config/schema.js';
import { readCommands } from '../engine/commands/command-reply.js';
import { OWN_COMMANDS } from '../engine/commands/own.js';
import type { CommandSpec } from '../engine/commands/spec.js';
import { COMMANDS } from '../engine/commands/table.generated.js';
import type { NodeEntry } from '../engine/core/router.js';
import { formatAddress } from '../engine/core/upstream-node.js';
import type { Reply } from '../engine/resp/decode.js';
import { type Library, readLibraries } from '../engine/scripting/library-store.js';
import { Ask } from '../engine/scripting/scripting.js';
import { LEARNED_COMMANDS_MAX } from '../engine/stats.js';
import type { Logger } from './logger.js';
import type { AskedMessage, CommandsMessage } from './messages.js';
import { type Credentials, UpstreamClient } from './upstream-client.js';

/** A cluster is asked again after this time: a module may have been loaded. */
const INTERVAL_MS = 60_000;
/** … and this soon after its nodes have changed. */
const CHANGED_DELAY_MS = 100;
/** Masters that are tried when one does not answer. */
const TRIED_MAX = 3;
/** Masters that are asked for their functions when the proxy starts. */
const OFFERED_MAX = 16;

export interface LearnOptions {
  readonly config: ClusterConfig;
  readonly credentials: Credentials;
  readonly logger: Logger;
}

/** Commands that the table does not have, in the order in which they were learned: over all clusters. */
export class LearnedCommands {
  readonly specs: CommandSpec[] = [];
  private readonly known = new Set([...COMMANDS, ...OWN_COMMANDS].map(({ name }) => name));

  constructor(
    private readonly logger: Logger,
    private readonly send: (message: CommandsMessage | AskedMessage) => void,
  ) {}

  /** Takes the function libraries that a server has when the proxy starts, for the workers to bring where they lack. */
  offer(libraries: readonly Library[]): void {
    if (libraries.length > 0) this.send({ type: 'asked', kind: Ask.offer, payload: libraries });
  }

  /** Those of a server's commands that are not known; of subcommands, what they belong to. */
  unknown(names: readonly Reply[]): string[] {
    const unknown = new Set<string>();
    for (const name of names) {
      if (typeof name !== 'string' || this.known.has(name.toLowerCase())) continue;
      unknown.add(name.split('|')[0] as string);
    }
    return [...unknown];
  }

  /** Takes what a server has; the workers are told what is new. */
  learn(specs: readonly CommandSpec[]): void {
    const fresh: CommandSpec[] = [];
    for (const spec of specs) {
      if (this.known.has(spec.name) || this.specs.length >= LEARNED_COMMANDS_MAX - OWN_COMMANDS.length) continue;
      this.known.add(spec.name);
      this.specs.push(spec);
      fresh.push(spec);
    }
    if (fresh.length === 0) return;
    const names = fresh.map(({ name }) => name);
    this.logger.info(`${fresh.length} commands learned from the upstream`, { commands: names.slice(0, 100).join(' ') });
    this.send({ type: 'commands', specs: fresh });
  }
}

/** Asks the masters of one cluster, every now and then, which commands they have. */
export class Learner {
  private masters: NodeEntry[] = [];
  private timer: ReturnType<typeof setTimeout> | null = null;
  private running = false;
  private offered = false;
  private stopped = false;

  constructor(
    private readonly options: LearnOptions,
    private readonly learned: LearnedCommands,
  ) {}

  /** These are the nodes now. */
  nodes(nodes: readonly NodeEntry[]): void {
    this.masters = nodes.filter(({ masterIndex }) => (masterIndex ?? -1) < 0);
    if (!this.running) this.schedule(CHANGED_DELAY_MS);
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private schedule(delayMs: number): void {
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.stopped) return;
    this.timer = setTimeout(() => void this.run(), delayMs);
  }

  private async run(): Promise<void> {
    this.running = true;
    const first = Math.floor(Math.random() * this.masters.length);
    const asked = this.masters;
    for (let i = 0; i < Math.min(TRIED_MAX, asked.length); i++) {
      const node = asked[(first + i) % asked.length];
      try {
        await this.ask(node);
        break;
      } catch (error) {
        const { message } = error as Error;
        this.options.logger.log('debug', 'a node did not say which commands it has', {
          upstream: formatAddress(node.host, node.port),
          reason: message,
        });
      }
    }
    if (!this.offered && asked.length > 0) {
      this.offered = true;
      await this.offer();
    }
    this.running = false;
    this.schedule(this.masters === asked ? INTERVAL_MS : CHANGED_DELAY_MS);
  }

  /** Names first: what COMMAND says of hundreds of commands that are known takes megabytes to read. */
  private async ask(node: NodeEntry): Promise<void> {
    const list = await this.command(node, ['COMMAND', 'LIST']);
    // Before Redis 7.0 there is no list.
    if (!Array.isArray(list)) this.learned.learn(readCommands(await this.command(node, ['COMMAND'])));
    else {
      const unknown = this.learned.unknown(list).slice(0, LEARNED_COMMANDS_MAX);
      if (unknown.length === 0) return;
      this.learned.learn(readCommands(await this.command(node, ['COMMAND', 'INFO', ...unknown])));
    }
  }

  /** Once: the functions of the first master that has some. One that was added lately may have none. */
  private async offer(): Promise<void> {
    for (const node of this.masters.slice(0, OFFERED_MAX)) {
      const reply = await this.command(node, ['FUNCTION', 'LIST', 'WITHCODE']).catch(() => null);
      const libraries = readLibraries(reply);
      if (libraries.length === 0) continue;
      this.learned.offer(libraries);
      return;
    }
  }

  private async command({ host, port }: NodeEntry, words: string[]): Promise<Reply> {
    const { config, credentials } = this.options;
    const timeoutMs = config.cluster_refresh_timeout;
    const client = await UpstreamClient.connect(host, port, credentials, Math.min(config.connect_timeout, timeoutMs));
    try {
      return await client.command(words, timeoutMs);
    } finally {
      client.close();
    }
  }
}
