/** The proxy of forge.yaml: its endpoint, and whether it says that it is ready. */
import { formatAddress } from '../../cluster/address.js';
import { probePort } from '../../cluster/bus-port.js';
import { readiness } from '../../proxy/control/admin.js';
import { type DoctorContext, NODE_STEP_MS } from '../context.js';
import { type DoctorFinding, failing, fromError, pass } from '../finding.js';

const START = 'forge proxy start';

export async function checkProxy({ settings, signal }: DoctorContext): Promise<DoctorFinding[]> {
  const { endpoint, admin } = settings?.cluster?.proxy ?? {};
  const findings: DoctorFinding[] = [];
  if (endpoint !== undefined) {
    const about = formatAddress(endpoint);
    const state = await probePort(endpoint.host, endpoint.port, NODE_STEP_MS);
    const why = state === 'refused' ? 'nothing listens there' : 'it does not answer';
    findings.push(state === 'open' ? pass('proxy', about, 'it listens') : failing('proxy', about, why, START));
  }
  if (admin !== undefined) {
    const about = formatAddress(admin);
    try {
      const { ready, state } = await readiness(admin, signal);
      findings.push(
        ready
          ? pass('proxy', about, state)
          : failing('proxy', about, `it is not ready: ${state}`, 'forge proxy status'),
      );
    } catch (error) {
      signal.throwIfAborted();
      findings.push(fromError('proxy', about, error));
    }
  }
  return findings;
}
