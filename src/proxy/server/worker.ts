import { configure } from '../engine/core/configure.js';
import { Core } from '../engine/core/core.js';
import type { Cluster, Router } from '../engine/core/router.js';
import { SlotMap } from '../engine/core/slot-map.js';
import { HostKeySpace, NoHosts } from '../engine/routing/host-table.js';
import { ClusterKeySpace } from '../engine/sharding/key-space.js';
import { BunRuntime } from './bun-runtime.js';
import { collectWhenIdle, noteEvents, startCollecting } from './collector.js';
import { Draining, URGE_MS } from './draining.js';
import type { Adopter } from './handover/adopter.js';
import { Passing } from './handover/passing.js';
import { adopt, type Listening, listen } from './listeners.js';
import {
  type AcceptMessage,
  type ClusterStart,
  type DrainMessage,
  heirPath,
  type LaneReport,
  type ToWorker,
  type WorkerStart,
} from './messages.js';
import { post } from './post.js';
import { EpollSockets } from './sockets/epoll-sockets.js';
import { openSockets, type Sockets } from './sockets/sockets.js';

/** How often the engine looks after time. */
const TICK_MS = 20;
declare const self: { onmessage: ((event: { data: ToWorker }) => void) | null };

let core: Core;
let runtime: BunRuntime;
let sockets: Sockets;
let started = false;
let listening: Listening[] = [];
let accepting = true;
let draining: Draining | null = null;
let drained = false;
const adopters: Adopter[] = [];

self.onmessage = ({ data: message }) => {
  switch (message.type) {
    case 'start':
      start(message);
      break;
    case 'configure':
      configure(core, { ...message, clusters: message.clusters.map(cluster) });
      runtime.logLevel = message.logLevel;
      runtime.know(message.clusters);
      for (const [i, each] of listening.entries())
        each.configure(message.tls.downstream[i] ?? null, message.tls.handshakeTimeoutMs);
      break;
    case 'nodes': {
      const router = core.numbered[message.cluster] as Router;
      if (message.facts !== null) router.facts = message.facts;
      core.beginEvent();
      router.applyNodes(message.nodes);
      break;
    }
    case 'table': {
      const router = core.numbered[message.cluster] as Router;
      if (message.facts !== null) router.facts = message.facts;
      core.beginEvent();
      router.applyTable(new HostKeySpace(message.table, message.slots), message.nodes);
      break;
    }
    case 'reads':
      core.numbered[message.cluster]?.reads.know(message.lagging, message.local);
      break;
    case 'health':
      core.beginEvent();
      core.numbered[message.cluster]?.health.know(message.out, message.silent, message.silentMs);
      break;
    case 'map':
      core.beginEvent();
      core.numbered[message.cluster]?.mapChanged();
      break;
    case 'commands':
      core.catalog.learn(message.specs);
      break;
    case 'report':
      post({ type: 'report', id: message.id, lanes: reportLanes() });
      break;
    case 'asked': {
      // Other workers may be there before this one is; what it missed it learns when it asks.
      if (!started) {
        if (message.id !== undefined) post({ type: 'answer', id: message.id, answer: undefined });
        break;
      }
      core.beginEvent();
      const answer = core.relay.answer(message.kind, message.payload);
      if (message.id !== undefined) post({ type: 'answer', id: message.id, answer });
      break;
    }
    case 'answers': {
      core.beginEvent();
      runtime.answered(message.id, [...message.answers]);
      break;
    }
    case 'recorded-taken':
      core.recorder.taken();
      break;
    case 'stop-accepting':
      stopAccepting();
      post({ type: 'accepts-nobody' });
      break;
    case 'accept':
      acceptAgain(message);
      break;
    case 'drain':
      stopAccepting();
      draining = new Draining(core, message.times, passing(message));
      if (message.times.drainMs < Number.POSITIVE_INFINITY) sockets.every(URGE_MS, () => draining?.urge());
      break;
    case 'adopt':
      for (const each of adopters.splice(0)) each.stop();
      if (message.fd !== null && sockets instanceof EpollSockets) {
        const own = sockets;
        adopters.push(own.adopter(message.fd, (fd, passed) => adopt(core, own, fd, passed)));
        if (message.heirs >= 0)
          adopters.push(own.heirs(core, message.heirs, (fd, passed, topics) => adopt(core, own, fd, passed, topics)));
      }
  }
};
post({ type: 'loaded' });

function start(options: WorkerStart): void {
  sockets = openSockets();
  runtime = new BunRuntime(options.logLevel, sockets);
  core = new Core(
    runtime,
    options.settings,
    options.limits,
    options.clusters.map(cluster),
    new Float64Array(options.stats[options.settings.worker]),
    options.stats.map((memory) => new Float64Array(memory)),
  );
  runtime.core = core;
  core.nextClient = options.firstClient;
  started = true;
  try {
    const { downstream, handshakeTimeoutMs } = options.tls;
    runtime.know(options.clusters);
    listening = options.addresses.map((each, i) =>
      listen(core, sockets, each, downstream[i] ?? null, handshakeTimeoutMs),
    );
    post({ type: 'listening', port: listening[0]?.port ?? 0, descriptor: sockets.descriptor });
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    post({ type: 'listen-failed', reason: message, inUse: code === 'EADDRINUSE' });
    return;
  }
  startCollecting(core.nowMs);
  sockets.every(TICK_MS, () => {
    noteEvents(core.nowMs);
    core.tick();
    runtime.sendRefreshRequests();
    for (const each of listening) each.tick();
    collectWhenIdle(core.nowMs);
    if (draining?.tick() && !drained && listening.every(({ handshakes }) => handshakes === 0)) {
      // Said once: the main thread counts the workers that are done.
      drained = true;
      post({ type: 'drained' });
    }
  });
}

function cluster({ number, serial, settings, sharded, slotMap }: ClusterStart): Cluster {
  const keySpace = sharded ? new NoHosts() : new ClusterKeySpace();
  return { number, serial, settings, keySpace, slotMap: new SlotMap(slotMap) };
}

const LANE_STATES = ['idle', 'connecting', 'handshake', 'ready'] as const;

function reportLanes(): LaneReport[] {
  const reports: LaneReport[] = [];
  for (const router of core.routers) {
    for (const lane of router.lanes()) {
      reports.push({
        cluster: router.index,
        address: lane.node.address,
        proto: lane.proto,
        state: LANE_STATES[lane.state],
        inFlight: lane.inFlight,
        waiting: lane.waiting.length,
        failures: lane.failures,
        lastError: lane.lastError,
      });
    }
  }
  return reports;
}

function passing({ places }: DrainMessage): Passing | null {
  return Passing.open(core, places.clients, heirPath(places, core.settings.worker));
}

/** What was to take over is gone. */
function acceptAgain({ addresses, tls }: AcceptMessage): void {
  if (draining !== null) return;
  accepting = true;
  for (const [i, address] of addresses.entries()) {
    if (address === null) continue;
    const before = listening[i];
    before?.stop();
    try {
      listening[i] = listen(core, sockets, address, tls.downstream[i] ?? null, tls.handshakeTimeoutMs);
      // It may have clients in their handshakes.
      if (before !== undefined) listening.push(before);
    } catch (error) {
      runtime.log('error', `cannot listen again: ${(error as Error).message}`, { port: address.port });
    }
  }
}

/** Clients that are there stay. */
function stopAccepting(): void {
  if (!accepting) return;
  accepting = false;
  for (const each of listening) each.stop();
}
