/** The proxy of forge.yaml: its endpoint, and whether it says that it is ready. */
import { formatAddress, type NodeAddress } from '../../cluster/address.js';
import { probePort } from '../../cluster/bus-port.js';
import { deployedProxies } from '../../config/deployed-endpoint.js';
import { readiness } from '../../proxy/control/admin.js';
import { type DoctorContext, NODE_STEP_MS } from '../context.js';
import { type DoctorFinding, failing, fromError, pass } from '../finding.js';

const START = 'forge proxy start';
const DEPLOY = 'forge deploy status tells more; forge deploy proxy';

export async function checkProxy({ settings, signal }: DoctorContext): Promise<DoctorFinding[]> {
  const { endpoint, admin } = settings?.cluster?.proxy ?? {};
  const deployed = settings === undefined ? [] : deployedProxies(settings);
  const next = deployed.length > 0 ? DEPLOY : START;
  // An endpoint in front of several is looked at beside them.
  const endpoints = distinct([endpoint, ...deployed.map((each) => each.endpoint)]);
  const admins = distinct([admin, ...deployed.map((each) => each.admin)]);
  const found = await Promise.all([
    ...endpoints.map((address) => listening(address, next)),
    ...admins.map((address) => ready(address, deployed.length > 0 ? DEPLOY : 'forge proxy status', signal)),
  ]);
  signal.throwIfAborted();
  return found;
}

function distinct(addresses: readonly (NodeAddress | undefined)[]): NodeAddress[] {
  const known = addresses.filter((address) => address !== undefined);
  return [...new Map(known.map((address) => [formatAddress(address), address])).values()];
}

async function listening(address: NodeAddress, next: string): Promise<DoctorFinding> {
  const about = formatAddress(address);
  const state = await probePort(address.host, address.port, NODE_STEP_MS);
  const why = state === 'refused' ? 'nothing listens there' : 'it does not answer';
  return state === 'open' ? pass('proxy', about, 'it listens') : failing('proxy', about, why, next);
}

async function ready(address: NodeAddress, next: string, signal: AbortSignal): Promise<DoctorFinding> {
  const about = formatAddress(address);
  try {
    const { ready: isReady, state } = await readiness(address, signal);
    return isReady ? pass('proxy', about, state) : failing('proxy', about, `it is not ready: ${state}`, next);
  } catch (error) {
    signal.throwIfAborted();
    return fromError('proxy', about, error);
  }
}
