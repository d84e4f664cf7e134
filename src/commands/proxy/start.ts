import { Flags } from '@oclif/core';
import { ForgeCommand } from '../../base-command.js';
import { defaultPidFile, fileFlag, pidFileFlag } from '../../config/proxy-flags.js';
import { forgeHome } from '../../local/paths.js';
import type { ProxyOptions } from '../../proxy/control/executable.js';

export default class ProxyStart extends ForgeCommand {
  static override summary = 'Start the proxy: one endpoint in front of a cluster.';
  static override description = `Runs in the foreground until Ctrl-C, or in the background, supervised, with --detach.

Passwords come from the environment or from files that the configuration names, never from the command line:
  REDIS_USERNAME, REDIS_REQUIREPASS             what the proxy gives to the nodes
  PROXY_AUTH_USERNAME, PROXY_AUTH_PASSWORD      what clients give to the proxy`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --config proxy.yaml',
    'REDIS_REQUIREPASS="$(cat password)" <%= config.bin %> <%= command.id %> --cluster 10.0.0.1:6379,10.0.0.2:6379 --listen 0.0.0.0:6379',
    '<%= config.bin %> <%= command.id %> --cluster 10.0.0.1:6379 --listen 0.0.0.0:6380 --tls-cert proxy.crt --tls-key proxy.key',
    '<%= config.bin %> <%= command.id %> --config proxy.yaml --detach --log-file /var/log/forge-proxy.log',
  ];

  static override flags = {
    ...pidFileFlag,
    config: fileFlag({ char: 'c', description: 'Configuration (YAML).' }),
    cluster: Flags.string({ description: 'Nodes of the cluster; some are enough.', helpValue: 'HOST:PORT,...' }),
    listen: Flags.string({ description: 'Address for clients.', helpValue: 'HOST:PORT' }),
    'tls-cert': fileFlag({
      description: 'Certificate chain (PEM): clients speak TLS at --listen.',
      dependsOn: ['tls-key'],
    }),
    'tls-key': fileFlag({ description: 'Private key of --tls-cert (PEM).', dependsOn: ['tls-cert'] }),
    'tls-client-ca': fileFlag({
      description: 'Clients need a certificate that one of these CAs has signed (PEM).',
      dependsOn: ['tls-cert'],
    }),
    admin: Flags.string({ description: 'Address for the admin pages; keep it private.', helpValue: 'HOST:PORT' }),
    workers: Flags.integer({
      description: 'Threads that serve clients; default one per core.',
      helpValue: 'N',
      min: 1,
    }),
    detach: Flags.boolean({
      char: 'd',
      description: 'Run in the background, restarted after a crash.',
      default: false,
    }),
    'log-file': fileFlag({
      description: 'Log of a detached proxy; default beside the pid file.',
      dependsOn: ['detach'],
    }),
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(ProxyStart);
    const options: ProxyOptions = {
      config: flags.config,
      cluster: flags.cluster?.split(',').filter((entry) => entry !== ''),
      listen: flags.listen,
      tlsCert: flags['tls-cert'],
      tlsKey: flags['tls-key'],
      tlsClientCa: flags['tls-client-ca'],
      admin: flags.admin,
      workers: flags.workers,
      pidFile: flags['pid-file'],
    };
    if (!flags.detach) {
      const { runProxy } = await import('../../proxy/control/foreground.js');
      await runProxy(options, this.signal);
      return { ended: true };
    }
    const { startDetached } = await import('../../proxy/control/detached.js');
    const pidFile = flags['pid-file'] ?? defaultPidFile(forgeHome());
    const logFile = flags['log-file'] ?? `${pidFile.replace(/\.pid$/, '')}.log`;
    const env = Object.fromEntries(
      Object.entries(process.env).flatMap(([key, value]) => (value ? [[key, value]] : [])),
    );
    const started = await startDetached({ ...options, pidFile, logFile, env }, this.signal);
    this.output.data(`The proxy listens on ${started.listening} (process ${started.pid}).`);
    this.output.data(`Log: ${logFile}`);
    this.output.data(`Stop it: forge proxy stop --pid-file ${pidFile}`);
    return started;
  }
}
