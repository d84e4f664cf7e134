import { ForgeCommand } from '../../base-command.js';
import { readSettings, settingsFlags } from '../../config/cluster-flags.js';
import { deployChoiceFlags } from '../../config/deploy-choice.js';
import { loadDeploySettings, ownAddresses } from '../../config/deploy-settings-load.js';
import { chooseDeployNodes, redisDeployment } from '../../deploy/redis-deployment.js';
import { type DeployStatus, deployStatus } from '../../deploy/status.js';
import { EXIT_CODES } from '../../errors.js';
import { deployStatusLines } from '../../ui/deploy-status.js';

export default class DeployStatusCommand extends ForgeCommand {
  static override summary = 'Show the containers of a cluster on its Docker hosts, and what differs from forge.yaml.';
  static override description =
    `Of this machine's nodes, or of every host of forge.yaml: image, version, state, restarts, memory, ports, and what forge
deploy redis would change. Also shown: containers of the cluster that forge.yaml no longer names, and volumes that are kept.
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
    const nodes = chooseDeployNodes(
      wanted,
      { hosts: flags.host ?? [], nodes: flags.node ?? [], all: flags.all },
      ownAddresses(),
    );
    const redis = await redisDeployment({
      settings: wanted,
      nodes,
      environment: settings.environment,
      signal: this.signal,
      also: flags.all ? wanted.hosts.map(({ name }) => name) : (flags.host ?? []),
    });
    const status = await deployStatus(redis, { extras: (flags.node ?? []).length === 0 });
    for (const line of deployStatusLines(status, this.output.colors, Date.now())) this.output.data(line);
    process.exitCode = status.asWanted ? EXIT_CODES.done : EXIT_CODES.verification;
    return status;
  }
}
