import { type Bytes, latin1, parseDecimal } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import type { Handler } from '../core/handlers.js';
import { LaneState } from '../core/lane.js';
import { withProto } from '../core/lane-id.js';
import { refuse } from '../core/refuse.js';
import type { Request } from '../core/request.js';
import type { Router } from '../core/router.js';
import { beginTask, finishTask, sendPart, type Task } from '../core/task.js';
import { encodeCommand } from '../resp/encode.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { Counter } from '../stats.js';
import { infoProxy } from './info-proxy.js';
import { formatInfo, type InfoSection, mergeInfo, parseInfo } from './info-text.js';
import { partitionOf } from './shards.js';
import { encodeTree, type Node, parseTree } from './tree.js';

/** Words that stand for several sections. */
const GROUPS = ['all', 'default', 'everything'];

/** Sections that the proxy itself has something to say in; the others come from the masters alone. */
const OWN_SECTIONS: readonly [string, string][] = [
  ['server', 'Server'],
  ['clients', 'Clients'],
  ['persistence', 'Persistence'],
  ['stats', 'Stats'],
  ['replication', 'Replication'],
  ['cluster', 'Cluster'],
  ['proxy', 'Proxy'],
];

/**
 * INFO [section …]: the endpoint as one standalone server, which is what applications take it for. Clients wait for
 * this reply when they connect, so a shard that is down must not keep it from them: it is left out, and counted.
 */
export const info: Handler = (client, entry, bytes, _start, frame) => {
  client.core.countRequest(entry);
  new InfoTask(client, words(bytes, frame, 1)).begin(client, entry);
  return true;
};

/** INFO.SHARD index [section …], as Envoy has it: what one shard's master says, from 0 in the order of their slots. */
export const infoShard: Handler = (client, entry, bytes, _start, frame) => {
  const { core } = client;
  const { shards } = partitionOf(core.router);
  const index = parseDecimal(bytes, frame.starts[1], frame.ends[1]);
  const shard = Number.isInteger(index) ? shards[index] : undefined;
  if (shard === undefined) {
    refuse(client, entry, `ERR invalid shard index: there are ${shards.length} shards, counted from 0`);
    return true;
  }
  core.countRequest(entry);
  const command = encodeCommand(['INFO', ...words(bytes, frame, 2)], core.runtime.allocate);
  const pass: Task = {
    answered: (part) => {
      const reply = (part.reply as Bytes).subarray(part.replyStart, part.replyEnd) as Bytes;
      finishTask(core, part.parent as Request, [reply], reply[0] === 45);
    },
  };
  sendPart(beginTask(client, entry, pass), { bytes: command, router: core.router, slot: shard.slot });
  return true;
};

function words(bytes: Bytes, frame: RequestFrame, from: number): string[] {
  const found: string[] = [];
  for (let i = from; i < frame.count; i++) found.push(latin1(bytes, frame.starts[i], frame.ends[i]).toLowerCase());
  return found;
}

/** Asks the masters that can answer, and puts what they say together with the proxy's own. */
class InfoTask implements Task {
  private readonly core: Core;
  private readonly router: Router;
  private readonly answers: InfoSection[][] = [];
  private shards = 0;
  /** Its user may not ask. */
  private refusal: Bytes | null = null;
  private remaining = 0;

  constructor(
    client: Client,
    private readonly wanted: readonly string[],
  ) {
    this.core = client.core;
    this.router = client.core.router;
  }

  begin(client: Client, entry: CommandEntry): void {
    const { router, core } = this;
    const parent = beginTask(client, entry, this);
    const { shards } = partitionOf(router);
    this.shards = shards.length;
    // INFO's text is the same in both versions of RESP; RESP2's connections are the ones that are always there.
    const lanes = shards
      .map(({ nodeIndex }) => router.nodeAt(nodeIndex)?.lane(withProto(parent.laneId, 2)))
      .filter((lane) => lane !== undefined && (lane.state === LaneState.ready || lane.failures === 0));
    this.remaining = lanes.length;
    if (lanes.length === 0) {
      this.finish(parent);
      return;
    }
    const bytes = encodeCommand(['INFO', ...this.wanted], core.runtime.allocate);
    for (const lane of lanes) sendPart(parent, { bytes, router, lane, pinned: true });
  }

  answered(part: Request): void {
    const reply = part.reply as Bytes;
    if (!part.failed && latin1(reply, part.replyStart, part.replyStart + 7) === '-NOPERM') {
      this.refusal = reply.subarray(part.replyStart, part.replyEnd) as Bytes;
    }
    const tree = part.failed ? null : parseTree(part.reply as Bytes, part.replyStart, part.replyEnd);
    if (tree?.text != null && tree.type !== '-') this.answers.push(parseInfo(tree.text.replace(/^txt:/, '')));
    if (--this.remaining === 0) this.finish(part.parent as Request);
  }

  private finish(parent: Request): void {
    const { core } = this;
    if (this.refusal !== null && this.answers.length === 0) {
      finishTask(core, parent, [this.refusal], true);
      return;
    }
    const text = parent.client === null ? '' : formatInfo(this.sections());
    const reply: Node =
      parent.proto === 3 ? { type: '=', text: `txt:${text}`, items: [] } : { type: '$', text, items: [] };
    finishTask(core, parent, [encodeTree(reply, core.runtime.allocate)]);
  }

  private sections(): InfoSection[] {
    const { wanted } = this;
    const all = wanted.length === 0 || GROUPS.some((word) => wanted.includes(word));
    const sections = mergeInfo(this.answers);
    for (const [key, title] of OWN_SECTIONS) {
      if (!all && !wanted.includes(key)) continue;
      let section = sections.find((each) => each.title === title);
      if (section === undefined) {
        section = { title, fields: new Map() };
        sections.push(section);
      }
      for (const [name, value] of this.own(key, section.fields)) section.fields.set(name, String(value));
    }
    return sections;
  }

  /** Fields of the proxy's own; those of the masters that would contradict them are removed. */
  private own(section: string, fields: Map<string, string>): [string, string | number][] {
    const { core } = this;
    const uptime = Math.floor((core.nowMs - core.startedMs) / 1000);
    const total = (counter: number) => core.total(counter);
    switch (section) {
      case 'server':
        // Valkey's name for it.
        if (fields.has('server_mode')) fields.set('server_mode', 'standalone');
        return [
          ['redis_version', fields.get('redis_version') ?? core.facts.redisVersion],
          ['redis_mode', 'standalone'],
          ['redisforge_version', core.settings.version],
          ['redisforge_shards', this.shards],
          ['redisforge_shards_not_answering', this.shards - this.answers.length],
          ['process_id', core.settings.processId],
          ['tcp_port', core.settings.listenPort],
          ['uptime_in_seconds', uptime],
          ['uptime_in_days', Math.floor(uptime / 86400)],
        ];
      case 'clients': {
        // The masters' clients are proxies; but whoever blocks, blocks at one of them.
        const blocked = fields.get('blocked_clients') ?? 0;
        fields.clear();
        return [
          ['connected_clients', total(Counter.downstream_cx_active)],
          ['blocked_clients', blocked],
        ];
      }
      case 'persistence':
        // Commands for a master that loads wait for it; the endpoint serves.
        return [['loading', 0]];
      case 'proxy':
        return infoProxy(core, this.shards, this.answers.length);
      case 'stats':
        return [
          ['total_connections_received', total(Counter.downstream_cx_total)],
          ['total_commands_processed', total(Counter.downstream_rq_total)],
          ['total_net_input_bytes', total(Counter.downstream_cx_rx_bytes_total)],
          ['total_net_output_bytes', total(Counter.downstream_cx_tx_bytes_total)],
        ];
      case 'replication':
        fields.clear();
        return [
          ['role', 'master'],
          ['connected_slaves', 0],
          ['master_failover_state', 'no-failover'],
        ];
      default:
        return [['cluster_enabled', 0]];
    }
  }
}
