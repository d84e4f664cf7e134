import { Flags } from '@oclif/core';
import { pidFileFlag } from '../../config/proxy-flags.js';
import type { Settings } from '../../config/resolve.js';
import { DrillCommand, type DrillResult } from '../../drill-command.js';
import { workloadFor } from '../../drills/rehearsals/drill-workload.js';
import { type ProxyRequest, proxyRehearsal } from '../../drills/rehearsals/proxy.js';
import { ForgeError } from '../../errors.js';

const SECONDS_MAX = 600;

export default class DrillProxy extends DrillCommand {
  static override summary = 'Rehearse a reload and an upgrade of the proxy under load.';
  static override description =
    `The proxy of this host (--pid-file, or of forge up) reads its configuration again, and is then replaced by a new process;
proxies of forge.yaml read theirs again. Clients that check everything work through it meanwhile and may see nothing but a
pause of a second. For staging: it needs --yes and the cluster's name.
Exit codes: 0 every bound holds, 2 wrong flags, 3 its configuration is refused, 4 a node or the proxy unreachable, 5 refused
or not confirmed, 7 the new process did not take over, 9 a bound does not hold.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --name local --yes --confirm local',
    '<%= config.bin %> <%= command.id %> --pid-file /run/forge-proxy/proxy.pid --html proxy.html --yes --confirm staging',
  ];

  static override flags = {
    ...pidFileFlag,
    'drain-time': Flags.integer({
      description: 'Seconds for clients of the old process that are never idle and cannot be passed on.',
      helpValue: 'S',
      default: 5,
      min: 0,
      max: SECONDS_MAX,
    }),
    'shutdown-time': Flags.integer({
      description: 'Seconds until its last clients are closed, blocked ones among them.',
      helpValue: 'S',
      default: 15,
      min: 0,
      max: SECONDS_MAX,
    }),
  };

  async run(): Promise<DrillResult> {
    const { flags } = await this.parse(DrillProxy);
    return this.drill(flags, async (stage, settings, { secure }) =>
      proxyRehearsal(stage, {
        ...(await this.#which(flags['pid-file'], settings)),
        drainS: flags['drain-time'],
        shutdownS: flags['shutdown-time'],
        listeners: secure ? workloadFor(flags.clients).channels : 0,
      }),
    );
  }

  /** @throws ForgeError `usage` where nothing says which proxy it is */
  async #which(pidFile: string | undefined, settings: Settings): Promise<Pick<ProxyRequest, 'pidFile' | 'admins'>> {
    if (pidFile !== undefined) return { pidFile, admins: [] };
    const { unknownName, cluster } = settings;
    if (unknownName !== undefined) return localProxy(unknownName);
    const { deployedProxies } = await import('../../config/deployed-endpoint.js');
    const admins = deployedProxies(settings).map(({ admin }) => admin);
    if (admins.length === 0 && cluster?.proxy?.admin !== undefined) admins.push(cluster.proxy.admin);
    if (admins.length > 0) return { admins };
    throw new ForgeError('usage', 'Nothing says which proxy is meant.', {
      next: 'Name its --pid-file, or proxy.admin in forge.yaml.',
    });
  }
}

/** In a container only its admin port is reached. */
async function localProxy(name: string): Promise<Pick<ProxyRequest, 'pidFile' | 'admins'>> {
  const [{ clusterPaths, forgeHome }, { loadState }, { LOOPBACK }] = await Promise.all([
    import('../../local/paths.js'),
    import('../../local/state.js'),
    import('../../local/nodes.js'),
  ]);
  const paths = clusterPaths(forgeHome(), name);
  const state = await loadState(paths);
  if (state?.proxy == null) {
    throw new ForgeError('refused', `The local cluster ${name} has no proxy.`, {
      next: `Add one: forge up --name ${name} --proxy`,
    });
  }
  if (state.runtime === 'docker') return { admins: [{ host: LOOPBACK, port: state.proxy.adminPort }] };
  return { pidFile: paths.proxyPid, admins: [] };
}
