import { configure } from '../../../../../src/proxy/engine/core/configure.js';
import type { ClientModel } from './client-model.js';
import type { Random } from './random.js';
import type { World } from './world.js';

/** What can happen; some of it more often. */
const KINDS = [
  'lose',
  'lose',
  'migrate',
  'migrate',
  'migrate',
  'fail-over',
  'crash',
  'stall',
  'silence',
  'load',
  'down',
  'client',
  'client',
  'configure',
];

/** One thing goes wrong, or changes. */
export function disturb(world: World): void {
  const { random, cluster } = world;
  const until = () => world.now() + random.pick([20, 100, 400, 1500]);
  const node = random.pick(cluster.nodes);
  const shard = random.pick(cluster.shards);
  const client = random.pick(world.clients);
  const kind = random.pick(world.refusals ? KINDS : KINDS.filter((each) => each !== 'load' && each !== 'down'));
  world.note(() => `disturb: ${kind} ${node.address}`);
  switch (kind) {
    case 'lose': {
      const all = [...world.upstreams].filter(({ socket }) => !socket.closeReported && !socket.terminated);
      if (all.length > 0) world.lose(random.pick(all));
      return;
    }
    case 'migrate': {
      const hot = random.pick([...cluster.hot.values()]);
      cluster.startMigration(hot, random.int(0, cluster.shards.length - 1));
      const step = () => {
        cluster.stepMigration(hot);
        if (hot.target !== null) world.after(random.int(0, 30), step);
        else world.after(random.int(0, 200), () => random.pick(cluster.nodes).learn());
      };
      world.after(random.int(0, 50), step);
      world.after(random.int(100, 600), () => cluster.spreadViews());
      return;
    }
    case 'configure': {
      const { core } = world;
      const { settings, keySpace, slotMap } = core.router;
      configure(core, { settings: core.settings, limits: core.limits, clusters: [{ settings, keySpace, slotMap }] });
      return;
    }
    case 'fail-over':
      cluster.failOver(shard);
      world.after(random.int(0, 300), () => cluster.spreadViews());
      return;
    case 'crash': {
      if (!node.up || cluster.nodes.filter(({ up }) => !up).length > 1) return;
      node.up = false;
      for (const upstream of [...world.upstreams]) if (upstream.link.node === node) world.lose(upstream);
      const down = random.pick([10, 200, 1500]);
      if (node.isMaster) {
        world.after(random.int(5, 400), () => {
          if (!node.up) cluster.failOver(cluster.shards[node.shard] as (typeof cluster.shards)[number]);
          world.after(random.int(0, 100), () => cluster.spreadViews());
        });
      }
      world.after(down, () => {
        node.up = true;
        node.learn();
        if (world.refusals) node.loadingUntil = world.now() + random.int(0, 60);
      });
      return;
    }
    case 'stall':
      node.stalledUntil = until();
      return;
    case 'silence':
      node.silentUntil = until();
      return;
    case 'load':
      node.loadingUntil = world.now() + random.int(1, 60);
      return;
    case 'down':
      for (const each of cluster.nodes)
        if (random.chance(0.5)) each.clusterDownUntil = world.now() + random.int(1, 100);
      return;
    default:
      disturbClient(world, client);
  }
}

function disturbClient(world: World, client: ClientModel): void {
  if (client.temper === 'leaving' && !client.gone && world.random.chance(0.3)) leave(world.random, client);
  if (client.temper === 'slow' || client.temper === 'deaf') {
    client.reads = false;
    if (client.temper === 'deaf') client.budget = 0;
    const pause = client.temper === 'slow' ? world.random.int(10, 150) : 100_000;
    world.after(pause, () => {
      client.reads = true;
    });
  }
}

/** A client goes without a word; some of what it sent may still arrive. */
export function leave(random: Random, client: ClientModel): void {
  client.gone = true;
  const { socket } = client;
  if (socket === null) return;
  if (random.chance(0.5)) socket.in.clear();
  socket.peerGone = true;
  socket.out.clear();
}
