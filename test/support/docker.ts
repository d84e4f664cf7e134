/** A Docker of the test's own: what runs here already, else a daemon in a folder of the test's. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { poll } from './redis.js';

const START_MS = 30_000;
const COMMAND_MS = 120_000;

export interface Docker {
  /** Runs `docker …`; throws with what it says when it fails. */
  run(...words: string[]): string;
  stop(): Promise<void>;
}

/** @returns null where there is no Docker and none can be started: no root, or nothing to install it from */
export async function startDocker(directory: string): Promise<Docker | null> {
  if (spawnSync('docker', ['info'], { stdio: 'ignore' }).status === 0) return client([], async () => {});
  if (process.getuid?.() !== 0) return null;
  if (spawnSync('dockerd', ['--version']).error !== undefined && !install()) return null;
  const socket = `unix://${path.join(directory, 'docker.sock')}`;
  const own = ['--data-root', '--exec-root'].flatMap((flag) => [flag, path.join(directory, flag.slice(2))]);
  const words = ['-H', socket, '--pidfile', path.join(directory, 'docker.pid'), ...own];
  // No network of its own: the test's containers use the host's.
  words.push('--iptables=false', '--bridge=none', '--storage-driver=vfs');
  const daemon = spawn('dockerd', words, { stdio: 'ignore' });
  const docker = client(['-H', socket], () => ends(daemon, directory));
  try {
    await poll('the Docker daemon answers', START_MS, async () => {
      if (daemon.exitCode !== null) throw new Error(`dockerd ended with code ${daemon.exitCode}`);
      return spawnSync('docker', ['-H', socket, 'info'], { stdio: 'ignore' }).status === 0;
    });
    return docker;
  } catch {
    // A sandbox without the rights that containers need.
    await docker.stop();
    return null;
  }
}

function install(): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const words = ['install', '-y', '--no-install-recommends', 'docker.io'];
  return spawnSync('apt-get', words, { stdio: 'ignore', env }).status === 0;
}

function client(before: string[], stop: () => Promise<void>): Docker {
  return {
    run(...words) {
      const env = { ...process.env, DOCKER_BUILDKIT: '0' };
      const result = spawnSync('docker', [...before, ...words], { encoding: 'utf8', env, timeout: COMMAND_MS });
      if (result.status !== 0) throw new Error(`docker ${words.join(' ')}: ${result.stderr || result.error}`);
      return `${result.stdout}${words[0] === 'logs' ? result.stderr : ''}`.trim();
    },
    stop,
  };
}

async function ends(daemon: ChildProcess, directory: string): Promise<void> {
  if (daemon.exitCode === null) {
    const ended = new Promise((resolve) => daemon.once('close', resolve));
    daemon.kill('SIGTERM');
    await ended;
  }
  // It leaves a mount behind, which would keep the folder from being removed.
  spawnSync('umount', ['-l', path.join(directory, 'exec-root/netns/default')], { stdio: 'ignore' });
}
