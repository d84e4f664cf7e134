/** Hosts that lose each other: the network fails, and all processes live. */
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Bounds } from '../../src/drills/verdict.js';
import { chance, DRILL_MS, Matrix, type MatrixDrill, SEED, START_MS, WORKLOAD } from '../support/drills/matrix.js';
import { type NetworkNode, type NetworkShard, NetworkStand } from '../support/drills/network-stand.js';
import { ShardWatch } from '../support/drills/shard-watch.js';
import { poll } from '../support/redis.js';

/**
 * Nodes notice after one to one and a half times this, agree within a half, and elect within a second: with 0.6 s that is
 * at most 1.6 s more than this, by the cluster alone; with 2 s it may be 3 s more.
 */
const NODE_TIMEOUT_MS = 600;
const SUDDEN: Bounds = { longestPauseMs: NODE_TIMEOUT_MS + 2_000, pauseBeyondMs: 300 };
const SUDDEN_WITH_WAIT: Bounds = { ...SUDDEN, losses: 0 };
/** Who takes from a queue, or publishes, waits for no replica to hear of it. */
const withWait = { workload: { ...WORKLOAD, replicas: 1, queues: 0, channels: 0 }, bounds: SUDDEN_WITH_WAIT };
/** A cluster that nobody has asked for a failover by then does not make one any more. */
const FAILOVER_MS = 15_000;
/** After a failover, so that whoever still believes the old master is seen. */
const LATER_MS = 1_500;
/**
 * How long the proxy alone is cut off from a master: well between the moments at which TCP sends again what was lost (below), so
 * that chance does not decide whose packet comes first, the proxy's or that of who is at work beside it.
 */
const CUT_MS = 2_000;
/**
 * TCP sends again what was lost some 0.2, 0.6, 1.4, 3 and 6 s after it was first sent: after a cut that ends just behind one of
 * these, a connection stands still for as long again. The proxy has it sent every second, where the kernel can (since 6.15).
 */
const LOST_MS = 3_300;
const [major = 0, minor = 0] = os.release().split('.').map(Number);
const SENT_AGAIN_MS = major > 6 || (major === 6 && minor >= 15) ? 1_000 : LOST_MS;
/** A master that was cut off stops when it has missed the others for so long, before they can have made another one. */
const STOPPED_MS = 1.5 * NODE_TIMEOUT_MS;
/** How often somebody looks whether it has, and how late that may be on a busy machine. */
const LOOK_MS = 50;
const LATE_MS = 500;
/** What nobody notices: of shards that are not concerned. */
const UNNOTICED_MS = 1_000;

let stand: NetworkStand;
const matrix = new Matrix('partition');

beforeAll(async () => {
  stand = await NetworkStand.start({ nodeTimeoutMs: NODE_TIMEOUT_MS });
}, START_MS);
afterEach(() => stand?.heal(), START_MS);
afterAll(async () => {
  await stand?.stop();
  await matrix.save();
}, START_MS);

const hostsOf = (nodes: readonly NetworkNode[]) => nodes.map(({ host }) => host);

/** The same for the same seed and name. */
async function anyShard(name: string): Promise<NetworkShard> {
  const shards = await stand.shards();
  return shards[Math.floor(chance(name)() * shards.length)] as NetworkShard;
}

async function promoted({ replica }: NetworkShard): Promise<void> {
  await poll('the replica is made master', FAILOVER_MS, () => stand.isMaster(replica));
}

interface Failing extends Omit<MatrixDrill, 'name' | 'disturb'> {
  disturb(shard: NetworkShard, tell: (text: string) => void): Promise<void>;
}

function drill(name: string, { disturb, ...options }: Failing): void {
  it(name, { timeout: DRILL_MS }, async () => {
    await matrix.drill(stand, {
      name,
      disturb: async (tell) => disturb(await anyShard(name), tell),
      recover: () => stand.whole(),
      again: true,
      ...options,
    });
  });
}

describe('a master is cut off', () => {
  const cutOff = async (kind: 'silent' | 'refused', shard: NetworkShard, tell: (text: string) => void) => {
    const { master } = shard;
    tell(`${master.host.ip} is cut off from all others, ${kind}`);
    await stand.cut(kind, [master.host], [...stand.clients, ...hostsOf(stand.others(master))]);
    await promoted(shard);
    tell(`${shard.replica.host.ip} is master`);
    await sleep(LATER_MS);
    await stand.heal();
    tell('healed');
  };

  drill('a master is cut off, packets are lost', {
    bounds: SUDDEN,
    disturb: (shard, tell) => cutOff('silent', shard, tell),
  });

  drill('a master is cut off, connections are refused, with WAIT 1', {
    ...withWait,
    disturb: (shard, tell) => cutOff('refused', shard, tell),
  });
});

describe('a master is cut off from the other nodes only', () => {
  /** Messages that it takes at most until it gives up its connections to the other nodes: those may come to them later. */
  const TAKEN_MAX = (WORKLOAD.channels ?? 0) * (NODE_TIMEOUT_MS / (WORKLOAD.pauseMs ?? 1));
  /** Commands that wrote something there. Not EXEC, which counts as done when it has done nothing. */
  const writesOf = async ({ server }: NetworkNode): Promise<number> => {
    const text = String(await server.call('INFO', 'commandstats'));
    const counts = [...text.matchAll(/^cmdstat_(?:set|incr|append|rpush):calls=(\d+)/gm)];
    return counts.reduce((sum, [, count]) => sum + Number(count), 0);
  };

  /** When somebody last wrote something there, milliseconds after it was asked. */
  const lastWriteOf = async (node: NetworkNode, meanwhile: () => Promise<unknown>): Promise<number> => {
    const begunMs = performance.now();
    let last = 0;
    let done = false;
    const watching = (async () => {
      let before = await writesOf(node);
      while (!done) {
        await sleep(LOOK_MS);
        const now = await writesOf(node);
        if (now !== before) last = performance.now() - begunMs;
        before = now;
      }
    })();
    try {
      await meanwhile();
    } finally {
      done = true;
      await watching;
    }
    return last;
  };

  const split = async (kind: 'silent' | 'refused', shard: NetworkShard, tell: (text: string) => void) => {
    const { master } = shard;
    tell(`${master.host.ip} is cut off from the other nodes, ${kind}; clients reach all`);
    await stand.cut(kind, [master.host], hostsOf(stand.others(master)));
    let promotedMs = 0;
    const begunMs = performance.now();
    const last = await lastWriteOf(master, async () => {
      await promoted(shard);
      promotedMs = performance.now() - begunMs;
      tell(`${shard.replica.host.ip} is master, too`);
      await sleep(LATER_MS);
    });
    tell(`the old master was written to for ${Math.round(last)} ms`);
    await stand.heal();
    tell('healed');
    expect(last).toBeLessThan(Math.max(STOPPED_MS, promotedMs) + LATE_MS);
  };

  drill('a master is cut off from the other nodes only, packets are lost', {
    bounds: { ...SUDDEN, repeats: TAKEN_MAX },
    disturb: (shard, tell) => split('silent', shard, tell),
  });

  drill('a master is cut off from the other nodes only, connections are refused, with WAIT 1', {
    ...withWait,
    disturb: (shard, tell) => split('refused', shard, tell),
  });
});

describe('the proxy is cut off from one master', () => {
  const between = async (kind: 'silent' | 'refused', shard: NetworkShard, tell: (text: string) => void) => {
    const watch = ShardWatch.start(stand.endpoint, await stand.shards());
    tell(`the proxy is cut off from ${shard.master.host.ip}, ${kind}`);
    await stand.cut(kind, stand.clients, [shard.master.host]);
    await sleep(CUT_MS);
    await stand.heal();
    tell('healed');
    await sleep(CUT_MS);
    for (const [each, { pauseMs, errors }] of await watch.stop()) {
      const what = `keys of ${each.master.host.ip}: ${Math.round(pauseMs)} ms, ${errors} errors`;
      tell(what);
      if (each.master === shard.master) continue;
      expect(errors, what).toBe(0);
      expect(pauseMs, what).toBeLessThan(UNNOTICED_MS);
    }
  };

  // No other master is made of it: nobody can do without the one that is cut off, as long as it is.
  const bounds: Bounds = { pauseBeyondMs: 300, losses: 0, longestPauseMs: CUT_MS + SENT_AGAIN_MS + LATE_MS };

  drill('the proxy is cut off from one master, packets are lost', {
    bounds,
    disturb: (shard, tell) => between('silent', shard, tell),
  });

  drill('the proxy is cut off from one master, connections are refused', {
    // The cut itself resets the connection over which messages are heard, a moment before the others.
    bounds: { ...bounds, losses: undefined, storedLosses: 0 },
    disturb: (shard, tell) => between('refused', shard, tell),
  });

  drill('what the proxy sends to one master is lost', {
    bounds: { ...bounds, longestPauseMs: LOST_MS + SENT_AGAIN_MS + LATE_MS },
    disturb: async ({ master }, tell) => {
      tell(`what is sent to ${master.host.ip} is lost`);
      await stand.lose(stand.clients, [master.host]);
      await sleep(LOST_MS);
      await stand.heal();
      tell('healed');
      await sleep(LOST_MS);
    },
  });
});

describe('a minority', () => {
  drill("a master and another's replica are cut off together", {
    bounds: SUDDEN,
    disturb: async (shard, tell) => {
      const other = (await stand.shards()).find(({ master }) => master !== shard.master) as NetworkShard;
      const minority = [shard.master, other.replica];
      tell(`${hostsOf(minority).map(({ ip }) => ip)} are cut off together`);
      await stand.cut('silent', hostsOf(minority), [...stand.clients, ...hostsOf(stand.others(...minority))]);
      await promoted(shard);
      tell(`${shard.replica.host.ip} is master`);
      await sleep(LATER_MS);
      await stand.heal();
      tell('healed');
    },
  });
});

describe('a master dies whose replica was cut off from it', () => {
  const BEHIND_MS = 2_000;

  const die = async (shard: NetworkShard, tell: (text: string) => void) => {
    const { master, replica } = shard;
    tell(`${replica.host.ip} does not hear of its master ${master.host.ip}`);
    await stand.cut('silent', [replica.host], [master.host]);
    await sleep(BEHIND_MS);
    tell('kill -9 of the master');
    await master.server.kill();
    await promoted(shard);
    tell(`${replica.host.ip} is master`);
    // Not sooner: what the dead master had sent would still arrive.
    await stand.heal();
    await stand.restart(master);
    tell('started again');
  };

  drill('kill -9 of a master whose replica is behind', { bounds: SUDDEN, disturb: die });
  drill('kill -9 of a master whose replica is behind, with WAIT 1', { ...withWait, disturb: die });
});

describe('a bad line', () => {
  const SLOW_MS = 5_000;

  drill('the line to a master is 50 ms long', {
    bounds: { errors: 0, losses: 0, longestPauseMs: UNNOTICED_MS },
    disturb: async ({ master }, tell) => {
      tell(`packets to ${master.host.ip} are 50 ms late`);
      await stand.slow(master, { delayMs: 50, seed: SEED });
      await sleep(SLOW_MS);
      await stand.heal();
      tell('as before');
    },
  });

  drill('the line to a master loses packets', {
    // Nobody is down: how long the unluckiest waits is a matter of how often TCP had to repeat one packet (0.2, 0.4, 0.8 s).
    bounds: { ...SUDDEN, pauseBeyondMs: undefined },
    disturb: async ({ master }, tell) => {
      tell(`one packet in twenty to and from ${master.host.ip} is lost`);
      await stand.slow(master, { loss: 0.05, seed: SEED });
      await sleep(SLOW_MS);
      await stand.heal();
      tell('as before');
    },
  });
});
