/** What a deployment has made on the engine of a test: looked at, asked, and taken away again. */
import { LABELS } from '../../../src/docker/labels.js';
import type { DockerClient } from './client.js';

export interface DeployedCluster {
  /** Names of containers with their states, `name running`, sorted. */
  containers(): Promise<string[]>;
  /** Names of volumes, sorted. */
  volumes(): Promise<string[]>;
  /** Gives a node one command, as the administrator. */
  redis(container: string, ...words: string[]): Promise<string>;
  /** Takes away everything that carries the label of the cluster. */
  cleanUp(): Promise<void>;
}

/** @param password of the user `admin` */
export function deployedCluster(docker: DockerClient, cluster: string, password: string): DeployedCluster {
  const filter = ['--filter', `label=${LABELS.cluster}=${cluster}`];
  const list = async (...words: string[]) => (await docker.run([...words, ...filter])).split('\n').filter(Boolean);
  const volumes = async () => (await list('volume', 'ls', '-q')).sort();
  return {
    volumes,
    containers: async () => (await list('ps', '-a', '--format', '{{.Names}} {{.State}}')).sort(),
    redis: async (container, ...words) =>
      await docker.run([
        ...['exec', '-e', `REDISCLI_AUTH=${password}`, container],
        ...['redis-cli', '-s', '/data/redis.sock', '--user', 'admin', '--no-auth-warning', ...words],
      ]),
    cleanUp: async () => {
      const ids = await list('ps', '-aq');
      if (ids.length > 0) await docker.run(['rm', '-f', ...ids]);
      const left = await volumes();
      if (left.length > 0) await docker.run(['volume', 'rm', ...left]);
    },
  };
}
