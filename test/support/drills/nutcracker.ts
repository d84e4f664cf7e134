/** nutcracker before servers of their own: a peer that knows no cluster. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Endpoint, isLink } from '../../../src/drills/link/link.js';
import { rawEndpoint } from '../../../src/drills/link/raw.js';
import { freePorts } from '../ports.js';
import { poll } from '../redis.js';

const START_MS = 10_000;

export interface Nutcracker {
  readonly endpoint: Endpoint;
  stop(): Promise<void>;
}

export interface NutcrackerOptions {
  readonly servers: readonly string[];
  /** Where its configuration and its log are kept. */
  readonly directory: string;
  /** A server that fails is left out, and its keys go to the others. */
  readonly eject: boolean;
}

/** Its own words for settings; the times are those of its documentation. */
export async function startNutcracker({ servers, directory, eject }: NutcrackerOptions): Promise<Nutcracker> {
  const [port, stats] = (await freePorts(2)) as [number, number];
  const file = (ending: string) => path.join(directory, `nutcracker-${port}.${ending}`);
  const lines = [
    'peer:',
    `  listen: 127.0.0.1:${port}`,
    '  hash: fnv1a_64',
    '  distribution: ketama',
    '  redis: true',
    '  timeout: 5000',
    `  auto_eject_hosts: ${eject}`,
    '  server_retry_timeout: 1000',
    '  server_failure_limit: 2',
    '  servers:',
    ...servers.map((address, index) => `   - ${address}:1 server${index}`),
  ];
  await writeFile(file('yml'), `${lines.join('\n')}\n`);
  const words = ['-c', file('yml'), '-o', file('log'), '-p', file('pid'), '-a', '127.0.0.1', '-s', String(stats)];
  const child: ChildProcess = spawn('nutcracker', words, { stdio: 'ignore' });
  const stop = async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  };
  const endpoint = rawEndpoint({ host: '127.0.0.1', port });
  try {
    await poll('nutcracker serves', START_MS, async () => {
      const link = await endpoint.connect();
      if (!isLink(link)) return false;
      const [outcome] = await link.send([['SET', 'ready', '1']]);
      link.close();
      return outcome?.ok;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint: { ...endpoint, label: `nutcracker, auto_eject_hosts: ${eject}` }, stop };
}
