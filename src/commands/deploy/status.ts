import { ForgeCommand } from '../../base-command.js';
import { readSettings, settingsFlags } from '../../config/cluster-flags.js';
import { deployChoiceFlags } from '../../config/deploy-choice.js';
import { loadDeploySettings, ownAddresses } from '../../config/deploy-settings-load.js';
import { chooseMonitoringHosts } from '../../deploy/monitoring-deployment.js';
import { chooseDeployNodes, redisDeployment } from '../../deploy/redis-deployment.js';
import { type DeployStatus, deployStatus } from '../../deploy/status.js';
import { statusParts } from '../../deploy/status-parts.js';
import { EXIT_CODES } from '../../errors.js';
import { deployStatusLines } from '../../ui/deploy-status.js';

export default class DeployStatusCommand extends ForgeCommand {
  static override summary = 'Show the containers of a cluster on its Docker hosts, and what differs from forge.yaml.';
  static override description =
    `Of this machine, or of every host of forge.yaml: image, version, state, restarts, memory, ports of nodes, proxies and
monitoring, and what forge deploy redis, proxy and monitoring would change. Also shown: containers of the cluster that
forge.yaml no longer names, and volumes that are kept. Proxies and monitoring are missed only where forge.yaml says how they are
deployed.
Changes nothing. Exit code 0: everything runs, is healthy and as wanted; 9: something is not, or a host does not answer; 4: no
host answers.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --all --json',
  ];

  static override flags = { ...deployChoiceFlags, ...settingsFlags };

  async run(): Promise<DeployStatus> {
    const { flags } = await this.parse(DeployStatusCommand);
    const settings = await readSettings(flags);
    const wanted = await loadDeploySettings(settings);
    for (const warning of wanted.warnings) this.output.warning(warning);
    const choice = { hosts: flags.host ?? [], nodes: flags.node ?? [], all: flags.all };
    // A node that is named is looked at alone.
    const whole = choice.nodes.length === 0;
    const hosts = whole ? chooseMonitoringHosts(wanted.hosts, choice, ownAddresses()) : choice.hosts;
    const nodes = whole
      ? wanted.nodes.filter(({ dockerHost }) => hosts.includes(dockerHost))
      : chooseDeployNodes(wanted, choice, ownAddresses());
    const { environment, cluster } = settings;
    const common = { settings: wanted, environment, signal: this.signal };
    const redis = await redisDeployment({ ...common, nodes, also: hosts });
    const parts = whole ? statusParts({ ...common, hosts, ...(cluster === undefined ? {} : { cluster }) }) : [];
    const status = await deployStatus(redis, { extras: whole }, parts);
    for (const line of deployStatusLines(status, this.output.colors, Date.now())) this.output.data(line);
    process.exitCode = status.asWanted ? EXIT_CODES.done : EXIT_CODES.verification;
    return status;
  }
}
