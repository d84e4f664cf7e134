import { Flags } from '@oclif/core';
import { ForgeCommand } from '../base-command.js';
import { localClusterFlags, portChoice } from '../config/local-flags.js';
import { forgeHome } from '../local/paths.js';
import { bringUp, type UpResult } from '../local/up.js';
import { runTasks } from '../ui/tasks.js';

export default class Up extends ForgeCommand {
  static override summary = 'Start a Redis Cluster on this machine, with the proxy in front of it.';
  static override description =
    `Starts real Redis nodes on loopback, forms the cluster, starts the proxy and waits until it serves.
With --runtime docker the nodes and the proxy are containers; FORGE_REDIS_IMAGE names another image than redis:8.0.
Run again, it starts what is missing: after a reboot the same cluster comes back with its data, ports and passwords.
Passwords are made once and kept in files that only you can read.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --smoke-test',
    '<%= config.bin %> <%= command.id %> --name second --base-port auto --masters 4 --replicas 2',
    '<%= config.bin %> <%= command.id %> --runtime docker',
    '<%= config.bin %> <%= command.id %> --name shards --base-port auto --sharded 3',
  ];

  static override flags = {
    ...localClusterFlags,
    masters: Flags.integer({ description: 'Number of masters (3).', helpValue: 'N', min: 1 }),
    replicas: Flags.integer({ description: 'Number of replicas per master (1).', helpValue: 'N', min: 0 }),
    sharded: Flags.integer({
      description: 'Start N independent servers in place of a cluster; the proxy hashes keys among them.',
      helpValue: 'N',
      min: 1,
      exclusive: ['masters', 'replicas'],
    }),
    'base-port': Flags.string({
      description: "Port of the first node (7001); the others follow. A node's bus port is 10,000 higher.",
      helpValue: 'PORT|auto',
    }),
    'proxy-port': Flags.string({ description: 'Port of the endpoint (7379).', helpValue: 'PORT|auto' }),
    'admin-port': Flags.string({ description: "Port of the proxy's admin pages (9901).", helpValue: 'PORT|auto' }),
    runtime: Flags.option({
      options: ['process', 'docker'] as const,
      description: 'Where nodes and proxy run: as processes of this machine (default) or in containers.',
    })(),
    proxy: Flags.boolean({ description: 'Put the proxy in front of the cluster (default).', allowNo: true }),
    'smoke-test': Flags.boolean({
      description: 'Test the endpoint when something was newly started.',
      default: false,
    }),
  };

  async run(): Promise<UpResult> {
    const { flags } = await this.parse(Up);
    const result = await bringUp({
      home: forgeHome(flags.home),
      name: flags.name,
      asked: {
        masters: flags.masters,
        replicas: flags.replicas,
        sharded: flags.sharded,
        basePort: portChoice('--base-port', flags['base-port']),
        proxyPort: portChoice('--proxy-port', flags['proxy-port']),
        adminPort: portChoice('--admin-port', flags['admin-port']),
        runtime: flags.runtime,
        proxy: flags.proxy,
      },
      smokeTest: flags['smoke-test'],
      runSteps: (steps) => runTasks(steps, { output: this.output, context: undefined, signal: this.signal }),
      signal: this.signal,
    });
    const name = flags.name === 'local' ? '' : ` --name ${flags.name}`;
    // FORGE_HOME will be there for the next command, too; a flag has to be said again.
    const elsewhere = flags.home !== undefined && flags.home !== process.env['FORGE_HOME'];
    this.show(result, `${name}${elsewhere ? ` --home ${shellQuote(flags.home ?? '')}` : ''}`);
    return result;
  }

  private show(result: UpResult, which: string): void {
    const { output } = this;
    const { bold, dim } = output.colors;
    const seconds = (result.elapsedMs / 1000).toFixed(1);
    const first = result.nodes[0]?.port ?? 0;
    const last = result.nodes.at(-1)?.port ?? 0;
    output.data(
      result.alreadyUp
        ? `The cluster "${result.name}" is up already: everything runs (checked in ${seconds} s).`
        : `The cluster "${result.name}" is up (${seconds} s).`,
    );
    output.data();
    if (result.endpoint !== null) {
      output.data(`  Endpoint   ${bold(`${result.endpoint.host}:${result.endpoint.port}`)}`);
    }
    output.data(`  Password   in ${result.passwordFile}`);
    output.data(`  Try it     ${tryLine(result, first)}`);
    const what = result.sharded ? 'Servers' : 'Nodes  ';
    output.data(`  ${what}    127.0.0.1:${first} to ${last}, data in ${result.data}`);
    if (result.admin !== null) output.data(`  Admin      http://${result.admin.host}:${result.admin.port}/stats`);
    output.data(`  Look       ${this.program} status${which}`);
    output.data(`  Stop       ${this.program} down${which} ${dim('(keeps the data)')}`);
  }
}

/** A line to paste; the password goes from its file into the environment and is never seen. */
function tryLine(result: UpResult, firstNode: number): string {
  const password = `REDISCLI_AUTH="$(cat ${shellQuote(result.passwordFile)})"`;
  if (result.endpoint !== null) return `${password} redis-cli -p ${result.endpoint.port}`;
  return `${password} redis-cli -c -p ${firstNode} --user app`;
}

function shellQuote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
