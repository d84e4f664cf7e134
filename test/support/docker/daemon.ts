/**
 * A Docker engine of the tests' own: a real `dockerd` with its own data, socket, networks and control group, beside
 * any other on this machine. It needs root. What an engine of a killed test run left is taken away by the next one.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type DockerClient, dockerClient } from './client.js';
import { type DaemonPlace, removeLeftovers } from './leftovers.js';

const run = promisify(execFile);
const START_MS = 30_000;
const STOP_MS = 30_000;
const COMMAND_MS = 10_000;
const POLL_MS = 50;
/** Engines at once on one machine; each has a sixteenth of 10.213.0.0/16. */
const ENGINES_MAX = 16;

export interface DockerDaemon extends DockerClient {
  /** For tests of the daemon itself. */
  readonly place: DaemonPlace;
  readonly pid: number;
  /** Kills it by SIGKILL, and starts it anew with the same data: what a machine does with one that ran out of memory. */
  killAndStart(): Promise<void>;
  /** Ends it and everything that was made with it: containers, networks, volumes, images. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * @param namespace of the network (`ip netns`), as if it were another host: what its containers have of the host's network is
 *   that one's. This process's own when not given
 * @throws Error that says why not: no root, no dockerd, no rights for containers, no free place
 */
export async function startDaemon({ namespace }: { namespace?: string } = {}): Promise<DockerDaemon> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) throw new Error('dockerd takes root on Linux');
  const { place, index } = await claimPlace();
  const bridge = `forge-test${index}`;
  try {
    const inside = namespace === undefined ? [] : ['-n', namespace];
    await ip(...inside, 'link', 'add', bridge, 'type', 'bridge');
    await ip(...inside, 'address', 'add', `10.213.${index * 16}.1/24`, 'dev', bridge);
    await ip(...inside, 'link', 'set', bridge, 'up');
    const start = () => launch(place, { index, bridge, namespace });
    let daemon = start();
    const client = dockerClient(
      `unix://${path.join(place.directory, 'docker.sock')}`,
      path.join(place.directory, 'cli'),
    );
    let stopping: Promise<void> | undefined;
    const stop = () => {
      stopping ??= stopDaemon(daemon, client, place);
      return stopping;
    };
    try {
      await answers(daemon, client, place);
    } catch (error) {
      await stop();
      throw error;
    }
    const killAndStart = async () => {
      const ended = new Promise((resolve) => daemon.once('close', resolve));
      daemon.kill('SIGKILL');
      await ended;
      // A number in them may be another process's by now, or that of a dead one which nobody has looked after.
      for (const file of ['docker.pid', 'exec/containerd/containerd.pid']) {
        rmSync(path.join(place.directory, file), { force: true });
      }
      daemon = start();
      await answers(daemon, client, place);
    };
    return { ...client, place, pid: daemon.pid ?? 0, killAndStart, stop };
  } catch (error) {
    await removeLeftovers(place);
    throw error;
  }
}

/** The folder is the claim: made by one process, named in it, and taken over once that process is gone. */
async function claimPlace(): Promise<{ place: DaemonPlace; index: number }> {
  for (let index = 0; index < ENGINES_MAX; index++) {
    const directory = path.join(os.tmpdir(), `redisforge-docker-${index}`);
    const prefixes = Array.from({ length: 16 }, (_, part) => `10.213.${index * 16 + part}.`);
    const place = { directory, cgroup: `redisforge-docker-${index}`, prefixes };
    const owner = path.join(directory, 'owner');
    const holder = readNumber(owner);
    if (holder !== undefined && !isAlive(holder)) await removeLeftovers(place);
    try {
      mkdirSync(directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw error;
    }
    writeFileSync(owner, String(process.pid));
    return { place, index };
  }
  throw new Error(`${ENGINES_MAX} engines of tests run already, or left ${os.tmpdir()}/redisforge-docker-*`);
}

interface DaemonNetwork {
  readonly index: number;
  readonly bridge: string;
  readonly namespace: string | undefined;
}

function launch({ directory, cgroup }: DaemonPlace, { index, bridge, namespace }: DaemonNetwork): ChildProcess {
  const words = [
    ...['--host', `unix://${path.join(directory, 'docker.sock')}`, '--pidfile', path.join(directory, 'docker.pid')],
    ...['--data-root', path.join(directory, 'data'), '--exec-root', path.join(directory, 'exec')],
    // The machine's packet filter and routing stay as they are: ports are published by docker-proxy.
    ...['--iptables=false', '--ip6tables=false', '--ip-masq=false', '--ip-forward=false'],
    ...['--bridge', bridge, '--default-address-pool', `base=10.213.${index * 16 + 8}.0/21,size=26`],
    ...['--exec-opt', 'native.cgroupdriver=cgroupfs', '--cgroup-parent', `/${cgroup}`],
    ...['--shutdown-timeout', '5', '--config-file', path.join(directory, 'none.json')],
  ];
  writeFileSync(path.join(directory, 'none.json'), '{}\n');
  const log = openSync(path.join(directory, 'log'), 'a');
  try {
    // With the test run goes the engine, however the run ends.
    const enter = namespace === undefined ? [] : ['nsenter', `--net=/run/netns/${namespace}`];
    const [program = '', ...all] = [...enter, 'setpriv', '--pdeathsig', 'TERM', 'dockerd', ...words];
    return spawn(program, all, { stdio: ['ignore', log, log] });
  } finally {
    closeSync(log);
  }
}

async function answers(daemon: ChildProcess, client: DockerClient, { directory }: DaemonPlace): Promise<void> {
  let failure: string | undefined;
  daemon.once('error', (error) => {
    failure = error.message;
  });
  const deadline = performance.now() + START_MS;
  while (!(await client.try(['version']))) {
    if (daemon.exitCode !== null) failure = `it ended with code ${daemon.exitCode}`;
    if (performance.now() > deadline) failure = `no answer within ${START_MS / 1000} s`;
    if (failure !== undefined) {
      const log = readFileSync(path.join(directory, 'log'), 'utf8').split('\n').slice(-6).join('\n');
      throw new Error(`dockerd does not start: ${failure}\n${log}`);
    }
    await sleep(POLL_MS);
  }
}

async function stopDaemon(daemon: ChildProcess, client: DockerClient, place: DaemonPlace): Promise<void> {
  const ended = new Promise((resolve) => daemon.once('close', resolve));
  if (daemon.exitCode === null && daemon.signalCode === null) {
    // A daemon that ends would give each container some seconds first.
    const containers = await client.run(['ps', '-aq']).catch(() => '');
    if (containers !== '') await client.try(['rm', '-f', '-v', ...containers.split('\n')]);
    daemon.kill('SIGTERM');
    await Promise.race([ended, sleep(STOP_MS, undefined, { ref: false })]);
  }
  await removeLeftovers(place);
}

async function ip(...words: string[]): Promise<void> {
  await run('ip', words, { timeout: COMMAND_MS });
}

function readNumber(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8')) || undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
