/** Every host of the cluster as `forge host check` sees it; without a cluster, this machine. */
import { chooseHosts } from '../../host/choose.js';
import { type CheckedHost, checkHosts, type HostToCheck } from '../../host/look.js';
import type { DoctorContext } from '../context.js';
import { type DoctorFinding, failing, notKnown, pass } from '../finding.js';

const LOOK_MS = 7_000;

export function hostsToCheck({ settings, named }: DoctorContext): HostToCheck[] {
  const cluster = settings?.cluster;
  if (cluster !== undefined && cluster.nodes.length > 0) return chooseHosts({ all: true }, cluster);
  // Whoever names seeds does not say that their hosts may be logged in to.
  return chooseHosts(
    { port: named.filter(({ host }) => /^(127\.|localhost$|::1$)/.test(host)).map(({ port }) => port) },
    undefined,
  );
}

function findings({ host, system, health, failure }: CheckedHost): DoctorFinding[] {
  // Nodes may be on hosts that this user has no business on: they are looked at by other ways, too.
  if (failure !== undefined) return [notKnown('hosts', host, failure.message, failure.next.join(' '))];
  const all = health?.findings ?? [];
  const told = all.flatMap(({ verdict, check, reasons, next }) => {
    if (verdict === 'PASS') return [];
    return reasons.map((reason): DoctorFinding => {
      const text = `${check}: ${reason.text}`;
      return { check: 'hosts', about: host, verdict: reason.verdict, text, ...(next === undefined ? {} : { next }) };
    });
  });
  const passing = all.filter(({ verdict }) => verdict === 'PASS').length;
  return [pass('hosts', host, `${passing} of ${all.length} checks pass (${system ?? 'unknown system'})`), ...told];
}

export async function checkHostsOf(context: DoctorContext, hosts: readonly HostToCheck[]): Promise<DoctorFinding[]> {
  const { sudo, signal } = context;
  const checked = await checkHosts(hosts, { sudo, signal, timeoutMs: LOOK_MS });
  if (hosts.length > 0 && checked.length === 0) return [failing('hosts', 'hosts', 'none could be looked at')];
  return checked.flatMap(findings);
}
