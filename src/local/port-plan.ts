/** Which ports a local cluster takes. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ForgeError } from '../errors.js';
import { describeHolder, findPortHolder, isPortFree } from '../runtime/ports.js';
import { BUS_PORT_OFFSET } from '../runtime/redis-server.js';
import type { NewShape, PortChoice } from './shape.js';

/** One port and what it is for, in the words of a message. */
export interface PlannedPort {
  port: number;
  purpose: string;
}

export interface PortPlan {
  nodePorts: number[];
  proxy: { port: number; adminPort: number } | null;
}

/**
 * Automatic ports lie here: above what needs privileges and, with the bus ports 10,000 higher, below 32,768, where
 * Linux begins to hand out ports for outgoing connections.
 */
const AUTO_FIRST = 10_000;
const AUTO_LAST = 22_700;
const AUTO_TRIES_MAX = 200;

/** Every port of a plan, bus ports included. Pure. */
export function plannedPorts(plan: PortPlan): PlannedPort[] {
  return listPorts(plan.nodePorts, plan.proxy?.port, plan.proxy?.adminPort);
}

/** A plan of given numbers. Pure. @throws ForgeError `usage` when a port is out of range or planned twice */
export function planGivenPorts(basePort: number, nodes: number, proxy: PortPlan['proxy']): PortPlan {
  const plan = { nodePorts: consecutive(basePort, nodes), proxy };
  refuseImpossible(plannedPorts(plan), nodes);
  return plan;
}

/**
 * The ports for a new cluster; those left to us are looked for, beginning at a place of the cluster's own (`seed`), so
 * that clusters made at the same moment do not run after the same ports.
 * @throws ForgeError `usage` for impossible numbers, `refused` when given ones are busy or no free ones are found
 */
export async function planPorts(shape: NewShape, seed: string): Promise<PortPlan> {
  const nodes = shape.masters * (1 + shape.replicas);
  const { basePort } = shape;
  const given = listPorts(
    basePort === 'auto' ? [] : consecutive(basePort, nodes),
    numberOf(shape.proxy?.port),
    numberOf(shape.proxy?.adminPort),
  );
  refuseImpossible(given, nodes);
  // Given ports will not get free by trying others.
  await refuseBusyPorts(given);
  const stride = nodes + 2;
  const places = Math.floor((AUTO_LAST - AUTO_FIRST) / stride);
  const start = createHash('sha256').update(seed).digest().readUInt32BE() % places;
  for (let attempt = 0; attempt < AUTO_TRIES_MAX; attempt++) {
    const first = AUTO_FIRST + ((start + attempt) % places) * stride;
    const plan: PortPlan = {
      nodePorts: consecutive(numberOf(basePort) ?? first, nodes),
      proxy: shape.proxy && {
        port: numberOf(shape.proxy.port) ?? first + nodes,
        adminPort: numberOf(shape.proxy.adminPort) ?? first + nodes + 1,
      },
    };
    const ports = plannedPorts(plan);
    const distinct = new Set(ports.map(({ port }) => port)).size === ports.length;
    if (distinct && (await busyPorts(ports)).length === 0) return plan;
  }
  throw new ForgeError('refused', `No ${stride} free ports found between ${AUTO_FIRST} and ${AUTO_LAST}.`, {
    next: 'Give --base-port, --proxy-port and --admin-port yourself.',
  });
}

function consecutive(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

function numberOf(choice: PortChoice | undefined): number | undefined {
  return choice === 'auto' ? undefined : choice;
}

function listPorts(nodePorts: readonly number[], proxyPort?: number, adminPort?: number): PlannedPort[] {
  return [
    ...nodePorts.map((port, index) => ({ port, purpose: `node ${index + 1}` })),
    ...nodePorts.map((port, index) => ({ port: port + BUS_PORT_OFFSET, purpose: `cluster bus of node ${index + 1}` })),
    ...(proxyPort === undefined ? [] : [{ port: proxyPort, purpose: 'proxy' }]),
    ...(adminPort === undefined ? [] : [{ port: adminPort, purpose: "proxy's admin page" }]),
  ];
}

/** @throws ForgeError `usage` for a port out of range, and for one that has two uses */
function refuseImpossible(ports: readonly PlannedPort[], nodes: number): void {
  const seen = new Map<number, string>();
  for (const { port, purpose } of ports) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new ForgeError('usage', `The port ${port} (${purpose}) is not between 1 and 65535.`, {
        next: `A node's bus port is its port + ${BUS_PORT_OFFSET}: take a --base-port up to ${65_536 - BUS_PORT_OFFSET - nodes}.`,
      });
    }
    const other = seen.get(port);
    if (other !== undefined) {
      throw new ForgeError('usage', `The port ${port} is planned twice: for the ${other} and for the ${purpose}.`, {
        next: 'Choose another --base-port, --proxy-port or --admin-port.',
      });
    }
    seen.set(port, purpose);
  }
}

/** The way out when the ports of a new cluster are busy. */
const FOR_A_NEW_CLUSTER = 'or have other ports chosen: --base-port auto';
/** An existing cluster cannot move: its nodes know each other by their ports. */
export const FOR_AN_OLD_CLUSTER = 'or start another cluster: --name NAME --base-port auto';

/** A process that was killed is not seen any more some moments before its ports are free; so is that of another user. */
const ENDING_MS = 2_000;
const ENDING_LOOK_MS = 100;

/** @throws ForgeError `refused`, naming every busy port and the process that holds it */
export async function refuseBusyPorts(
  ports: readonly PlannedPort[],
  otherwise: string = FOR_A_NEW_CLUSTER,
): Promise<void> {
  const deadline = performance.now() + ENDING_MS;
  let holders = await holdersOf(ports);
  while (holders.some(({ holder }) => holder === undefined) && performance.now() < deadline) {
    await sleep(ENDING_LOOK_MS);
    holders = await holdersOf(ports);
  }
  const first = holders[0];
  if (first === undefined) return;
  const told = holders.map(({ port, purpose, holder }) => `${port} (${purpose}) by ${describeHolder(holder)}`);
  throw new ForgeError('refused', `${holders.length === 1 ? 'A port is' : 'Ports are'} busy: ${told.join(', ')}.`, {
    host: `127.0.0.1:${first.port}`,
    next: [`Stop what holds ${holders.length === 1 ? 'the port' : 'the ports'},`, otherwise],
    details: { busy: holders },
  });
}

async function busyPorts(ports: readonly PlannedPort[]): Promise<PlannedPort[]> {
  const free = await Promise.all(ports.map(({ port }) => isPortFree(port)));
  return ports.filter((_, index) => !free[index]);
}

async function holdersOf(ports: readonly PlannedPort[]) {
  const busy = await busyPorts(ports);
  return await Promise.all(
    busy.map(async ({ port, purpose }) => ({ port, purpose, holder: await findPortHolder(port) })),
  );
}
