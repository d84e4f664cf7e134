/** Checks of limits on open files. */
import { fail, warn } from '../../operations/health/finding.js';
import { type HostCheck, untold } from '../finding.js';
import { CLIENTS_MAX, FILES_RESERVED } from '../needs.js';

/** Below it, not even a small service's clients fit. */
const CLIENTS_MIN = 1_000;
/** Of the whole host, besides the nodes. */
const SYSTEM_FILES = 100_000;

const shown = (limit: number) => (Number.isFinite(limit) ? String(limit) : 'unlimited');

export const openFiles: HostCheck = {
  name: 'open-files',
  about: 'a node may have as many connections as maxclients says',
  why: 'Every connection is an open file; with fewer, Redis lowers maxclients by itself and refuses clients.',
  next: 'forge host tune writes a drop-in for docker.service; for nodes without docker: LimitNOFILE of the service, or ulimit -n.',
  judge({ filesHard, docker, sysctls }, needs) {
    const wanted = `at least ${needs.filesPerNode} for each node`;
    // Containers get the daemon's; nodes without one that of whoever starts them.
    const limit = docker.running && docker.filesHard !== undefined ? docker.filesHard : filesHard;
    if (limit === undefined) return untold(wanted, 'its limit on open files');
    const whose = docker.running && docker.filesHard !== undefined ? 'docker’s limit' : 'this user’s limit';
    const reasons = [];
    const clients = Math.max(0, limit - FILES_RESERVED);
    const text = `${whose} on open files is ${shown(limit)}: at most ${clients} clients instead of ${CLIENTS_MAX}`;
    if (clients < CLIENTS_MIN) reasons.push(fail(text));
    else if (limit < needs.filesPerNode) reasons.push(warn(text));
    const fileMax = Number(sysctls.get('fs.file-max') ?? Number.NaN);
    const all = needs.nodes * needs.filesPerNode + SYSTEM_FILES;
    if (fileMax < all) reasons.push(warn(`fs.file-max is ${fileMax}, for the whole host; ${all} are needed`));
    return { value: shown(limit), wanted, reasons };
  },
};
