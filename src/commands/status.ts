import { Flags } from '@oclif/core';
import { ForgeCommand } from '../base-command.js';
import { localClusterFlags } from '../config/local-flags.js';
import { EXIT_CODES } from '../errors.js';
import { forgeHome } from '../local/paths.js';
import { allStatuses, type ClusterStatus, clusterStatus, type NodeStatus } from '../local/status.js';
import type { Output } from '../ui/output.js';
import { renderSlotBar, shardLetter } from '../ui/slot-bar.js';
import { renderTable } from '../ui/table.js';

export default class Status extends ForgeCommand {
  static override summary = 'Show the local cluster: nodes, roles, slots, proxy.';
  static override description =
    `Exit code 0: everything runs and is healthy; 4: nothing runs, or there is no such cluster; 9: something is down or not in order.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --all',
    '<%= config.bin %> <%= command.id %> --json',
  ];

  static override flags = {
    ...localClusterFlags,
    all: Flags.boolean({ description: 'Show every local cluster.', default: false, exclusive: ['name'] }),
  };

  async run(): Promise<ClusterStatus | { clusters: ClusterStatus[] }> {
    const { flags } = await this.parse(Status);
    const home = forgeHome(flags.home);
    const clusters = flags.all
      ? await allStatuses(home, this.signal)
      : [await clusterStatus(home, flags.name, this.signal)];
    if (clusters.length === 0) this.output.data(`There is no local cluster in ${home}. Start one: forge up`);
    clusters.forEach((status, index) => {
      if (index > 0) this.output.data();
      for (const line of statusLines(status, this.output)) this.output.data(line);
    });
    process.exitCode = exitCode(clusters);
    return flags.all ? { clusters } : (clusters[0] as ClusterStatus);
  }
}

function exitCode(clusters: readonly ClusterStatus[]): number {
  if (clusters.every(({ health }) => health === 'up')) return EXIT_CODES.done;
  return clusters.every(({ health }) => health === 'stopped') ? EXIT_CODES.unreachable : EXIT_CODES.verification;
}

const SLOT_BAR_WIDTH = 64;

function statusLines(status: ClusterStatus, output: Output): string[] {
  const { bold, green, yellow, red, dim } = output.colors;
  const colored = { up: green, degraded: yellow, stopped: red }[status.health];
  // Shards are lettered in the order of their slots.
  const shards = status.nodes
    .filter((node) => node.slots.length > 0)
    .sort((left, right) => (left.slots[0]?.start ?? 0) - (right.slots[0]?.start ?? 0));
  const letters = new Map(shards.map((node, index) => [node.id, shardLetter(index)]));
  const spans = shards.flatMap((node, shard) => node.slots.map(({ start, end }) => ({ from: start, to: end, shard })));
  const rows = status.nodes.map((node) => [
    `${node.host}:${node.port}`,
    node.role ?? '-',
    letters.get(node.role === 'replica' ? node.masterId : node.id) ?? '-',
    node.slots.map(({ start, end }) => (start === end ? start : `${start}-${end}`)).join(' ') || '-',
    node.pid ?? '-',
    megabytes(node.memoryBytes),
    node.restarts,
    stateCell(node, output),
  ]);
  const { proxy } = status;
  if (proxy !== null) {
    rows.push([
      `${proxy.host}:${proxy.port}`,
      'proxy',
      '-',
      '-',
      proxy.pid ?? '-',
      megabytes(proxy.memoryBytes),
      proxy.restarts,
      stateCell(proxy, output),
    ]);
  }
  return [
    `${bold(status.name)}  ${colored(status.health)}  ${dim(status.directory)}`,
    '',
    renderTable(['ADDRESS', 'ROLE', 'SHARD', 'SLOTS', right('PID'), right('MEMORY'), right('RESTARTS'), 'STATE'], rows),
    '',
    ...(status.sharded
      ? [`Keys      hashed among ${status.masters} independent servers`]
      : [`Slots     ${renderSlotBar(spans, SLOT_BAR_WIDTH)}  ${status.slotsServed} of 16384 served`]),
    ...(status.endpoint === null ? [] : [`Endpoint  ${status.endpoint.host}:${status.endpoint.port}`]),
    `Password  in ${status.passwordFile}`,
    ...(status.health === 'up' ? [] : [`Mend it   forge up${status.name === 'local' ? '' : ` --name ${status.name}`}`]),
  ];
}

function stateCell({ phase, fault }: Pick<NodeStatus, 'phase' | 'fault'>, output: Output): string {
  const { green, red, yellow } = output.colors;
  if (fault === null) return green('ok');
  return (phase === 'running' || phase === 'waiting' ? yellow : red)(`${phase}: ${fault}`);
}

function megabytes(bytes: number | null): string {
  return bytes === null ? '-' : `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

function right(title: string): { title: string; align: 'right' } {
  return { title, align: 'right' };
}
