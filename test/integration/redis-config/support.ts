/** Nodes with exactly the files that a deployment gives them, as processes. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectNode, type NodeConnection } from '../../../src/cluster/node-connection.js';
import { readUserPasswords, type UserWithPassword } from '../../../src/config/deploy-secrets.js';
import type { DeploySettings } from '../../../src/config/deploy-settings.js';
import { resolveDeploySettings } from '../../../src/config/deploy-settings-resolve.js';
import { parseForgeFile } from '../../../src/config/forge-file.js';
import { type ServerVersion, serverVersionOf } from '../../../src/redis-config/version.js';
import { deployedRedisFiles } from '../../../src/runtime/deployed-redis.js';
import { poll } from '../../support/redis.js';

const START_MS = 10_000;

export const PASSWORDS = {
  REDIS_REQUIREPASS: 'admin-password',
  REDIS_ACL_PASS: 'app-password',
  REDIS_READONLY_PASS: 'readonly-password',
  REDIS_MONITOR_PASS: 'monitor-password',
  REDIS_REPLICATION_PASS: 'replication-password',
};

export function versionOf(executable: string): ServerVersion {
  const version = serverVersionOf(execFileSync(executable, ['--version'], { encoding: 'utf8' }));
  if (version === undefined) throw new Error(`${executable} tells no version`);
  return version;
}

/** What a deployment is to be; throws with everything that is wrong with it. */
export function deployment(
  text: string,
  environment: NodeJS.ProcessEnv = PASSWORDS,
  set: string[] = [],
): DeploySettings {
  const { settings, problems } = resolveDeploySettings({
    cluster: parseForgeFile(text, 'forge.yaml').clusters[0],
    environment,
    named: false,
    set,
    folder: path.dirname(fileURLToPath(import.meta.url)),
    isOwn: (host) => host.startsWith('127.'),
  });
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  return settings;
}

export interface DeployedNode {
  readonly port: number;
  readonly directory: string;
  readonly users: readonly UserWithPassword[];
  connect(role: UserWithPassword['role']): Promise<NodeConnection>;
  stop(): Promise<void>;
}

/** Starts one node of a deployment on 127.0.0.1 and waits until it answers. */
export async function startDeployed(
  executable: string,
  settings: DeploySettings,
  index = 0,
  tls?: { ca: Buffer; cert?: Buffer; key?: Buffer },
): Promise<DeployedNode> {
  const node = settings.nodes[index];
  if (node === undefined) throw new Error(`no node ${index}`);
  const directory = await mkdtemp(path.join(os.tmpdir(), 'forge-deployed-'));
  const users = await readUserPasswords(settings, PASSWORDS);
  const files = await deployedRedisFiles(settings, node, users, {
    config: directory,
    data: directory,
    bind: '127.0.0.1',
  });
  for (const file of files) await writeFile(file.path, file.content, { mode: file.mode });
  const child = spawn(executable, [files[0]?.path ?? ''], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const deployed: DeployedNode = {
    port: node.port,
    directory,
    users,
    connect(role) {
      const user = users.find((each) => each.role === role);
      if (user === undefined) throw new Error(`no user ${role}`);
      return connectNode({ host: '127.0.0.1', port: node.port, username: user.name, password: user.secret, tls });
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
  try {
    await poll(`the node on port ${node.port} starts`, START_MS, async () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${output}`);
      const connection = await deployed.connect('admin').catch(() => undefined);
      connection?.close();
      return connection !== undefined;
    });
  } catch (error) {
    await deployed.stop();
    throw error;
  }
  return deployed;
}

/** Every node of a deployment, met and with slots and roles as told; the first holds all slots. */
export async function formed(nodes: readonly DeployedNode[]): Promise<NodeConnection[]> {
  const connections = await Promise.all(nodes.map((node) => node.connect('admin')));
  const [first, ...others] = connections;
  if (first === undefined) throw new Error('no nodes');
  await first.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
  for (const [index, other] of others.entries()) {
    await other.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 2);
    await first.call(
      'CLUSTER',
      'MEET',
      '127.0.0.1',
      nodes[index + 1]?.port ?? 0,
      (nodes[index + 1]?.port ?? 0) + 10_000,
    );
  }
  await poll('the nodes know each other', START_MS, async () => {
    const views = await Promise.all(connections.map((each) => each.callText('CLUSTER', 'NODES')));
    const infos = await Promise.all(connections.map((each) => each.callText('CLUSTER', 'INFO')));
    const known = views.every((view) => {
      const lines = view.trim().split('\n');
      return (
        lines.length === nodes.length &&
        !/handshake|fail|noaddr/.test(view) &&
        lines.every((line) => / connected/.test(line))
      );
    });
    return known && infos.every((info) => info.includes('cluster_state:ok'));
  });
  return connections;
}
