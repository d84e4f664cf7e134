/** A real SSH server on loopback, with keys of its own, and an `ssh` on the PATH that knows them and no others. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { appendFile, chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './ports.js';
import { poll } from './redis.js';

const run = promisify(execFile);
const START_MS = 10_000;
const SSHD = '/usr/sbin/sshd';
const SSH = '/usr/bin/ssh';

/** Whether it can be had here; in CI a missing one is a failure of the test. */
export const canSsh = Boolean(process.env['CI']) || (existsSync(SSHD) && process.getuid?.() === 0);

export interface SshHost {
  readonly port: number;
  /** `ssh://USER@127.0.0.1:PORT` */
  readonly address: string;
  /** Its PATH has an `ssh` that knows the host's key and has one of its own. */
  readonly environment: NodeJS.ProcessEnv;
  /** Another `ssh`, with these further lines of ssh_config before all others. */
  environmentWith(name: string, ...lines: string[]): Promise<NodeJS.ProcessEnv>;
  /** An `ssh` that the server does not let in without a password. */
  withoutKey(): Promise<NodeJS.ProcessEnv>;
  /** An `ssh` that has never seen the server's key. */
  asStranger(): Promise<NodeJS.ProcessEnv>;
  /** How many logins it has let in; told with `LogLevel VERBOSE` or the usual one. */
  logins(): Promise<number>;
  stop(): Promise<void>;
}

/**
 * Starts sshd on a free port of loopback, for the user who runs the tests.
 * @param settings further lines of sshd_config; they come first, and the first one of a name counts
 * @throws Error when there is no sshd, or no root
 */
export async function startSshHost(settings: readonly string[] = []): Promise<SshHost> {
  accessSync(SSHD, constants.X_OK);
  if (process.getuid?.() !== 0) throw new Error('sshd takes root');
  const directory = await mkdtemp(path.join(os.tmpdir(), 'forge-ssh-'));
  const file = (name: string) => path.join(directory, name);
  const user = os.userInfo().username;
  const port = await freePort();
  for (const key of ['host', 'user']) {
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', key, '-f', file(key)]);
  }
  const lines = [
    ...settings,
    ...[`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${file('host')}`, `PidFile ${file('sshd.pid')}`],
    ...[`AuthorizedKeysFile ${file('user.pub')}`, 'StrictModes no', 'UsePAM no', 'PermitRootLogin yes'],
    ...['MaxStartups 100', 'MaxSessions 100', 'PrintMotd no'],
  ];
  await writeFile(file('sshd_config'), `${lines.join('\n')}\n`);
  const hostKey = await readFile(file('host.pub'), 'utf8');
  await writeFile(file('known_hosts'), `[127.0.0.1]:${port} ${hostKey}`);
  const daemon = await launch(file, port);
  const environmentWith = async (name: string, ...first: string[]) => {
    const config = [
      ...first,
      ...[`IdentityFile ${file('user')}`, 'IdentitiesOnly yes', `UserKnownHostsFile ${file('known_hosts')}`],
      'GlobalKnownHostsFile /dev/null',
    ];
    const folder = file(name);
    mkdirSync(folder);
    await writeFile(path.join(folder, 'config'), `${config.join('\n')}\n`);
    // OpenSSH takes its configuration from the account's home, whatever HOME says.
    await writeFile(path.join(folder, 'ssh'), `#!/bin/sh\nexec ${SSH} -F ${path.join(folder, 'config')} "$@"\n`);
    await chmod(path.join(folder, 'ssh'), 0o755);
    return { ...process.env, PATH: `${folder}:${process.env['PATH']}`, SSH_AUTH_SOCK: undefined };
  };
  return {
    port,
    address: `ssh://${user}@127.0.0.1:${port}`,
    environment: await environmentWith('client'),
    environmentWith,
    withoutKey: () => environmentWith('no-key', 'PubkeyAuthentication no'),
    asStranger: () => environmentWith('no-host', 'UserKnownHostsFile /dev/null'),
    async logins() {
      const log = await readFile(file('log'), 'utf8').catch(() => '');
      return log.split('\n').filter((line) => line.startsWith('Accepted publickey')).length;
    },
    async stop() {
      // Not its `close`: sessions that are ending have its output, too.
      const ended = new Promise((resolve) => daemon.once('exit', resolve));
      if (daemon.exitCode === null && daemon.signalCode === null) {
        daemon.kill('SIGTERM');
        await ended;
      }
      daemon.stderr?.destroy();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function launch(file: (name: string) => string, port: number): Promise<ChildProcess> {
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const words = ['--pdeathsig', 'TERM', SSHD, '-D', '-e', '-f', file('sshd_config')];
  const daemon = spawn('setpriv', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  daemon.stderr?.on('data', (chunk: Buffer) => void appendFile(file('log'), chunk).catch(() => undefined));
  await poll('sshd listens', START_MS, async () => {
    if (daemon.exitCode !== null) throw new Error(`sshd ended: ${await readFile(file('log'), 'utf8').catch(() => '')}`);
    return await connects(port);
  });
  return daemon;
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => socket.destroy());
    socket.once('error', () => resolve(false));
    socket.once('close', (failed) => resolve(!failed));
  });
}
