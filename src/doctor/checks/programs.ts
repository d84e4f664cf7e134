/** Programs of this machine. */
import { ForgeError } from '../../errors.js';
import { findProxyExecutable } from '../../proxy/control/executable.js';
import { findProgram } from '../../runtime/redis-server.js';
import { type DoctorFinding, failing, notKnown, pass } from '../finding.js';

const NODE_MIN = [20, 19] as const;

/** Whether `v20.18.1` is enough. */
export function isNodeEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  return major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1]);
}

function proxy(environment: NodeJS.ProcessEnv): DoctorFinding {
  try {
    return pass('programs', 'forge-proxy', findProxyExecutable(environment));
  } catch (error) {
    if (!(error instanceof ForgeError)) throw error;
    // Needed only where a proxy is to run.
    return notKnown('programs', 'forge-proxy', error.message, error.next.join(' '));
  }
}

/** @param remote some host is reached over SSH */
export function checkPrograms(remote: boolean, environment: NodeJS.ProcessEnv = process.env): DoctorFinding[] {
  const wanted = NODE_MIN.join('.');
  const node = isNodeEnough(process.version)
    ? pass('programs', 'node', process.version)
    : failing('programs', 'node', `${process.version}; ${wanted} is needed`, `Install Node.js ${wanted} or newer.`);
  const ssh = findProgram('ssh', environment['PATH']);
  const withoutSsh = 'Install an SSH client (Debian, Ubuntu: apt install openssh-client).';
  const shell =
    ssh === undefined ? [failing('programs', 'ssh', 'there is none', withoutSsh)] : [pass('programs', 'ssh', ssh)];
  return [node, ...(remote ? shell : []), proxy(environment)];
}
