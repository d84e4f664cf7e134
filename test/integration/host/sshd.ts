/** A real SSH server on loopback, with keys of its own, and an `ssh` on the PATH that knows them and no others. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { freePort } from '../../support/ports.js';
import { poll } from '../../support/redis.js';

const START_MS = 10_000;
const SSHD = '/usr/sbin/sshd';

export interface SshServer {
  readonly port: number;
  /** `ssh://127.0.0.1:PORT`. */
  readonly url: string;
  /** A PATH on which `ssh` has the right key and knows the host. */
  readonly path: string;
  /** A PATH on which `ssh` has a key that the server does not let in. */
  readonly strangerPath: string;
  /** A PATH on which `ssh` does not know the host's key. */
  readonly unknownHostPath: string;
  stop(): Promise<void>;
}

/** Whether it can be had here; in CI a missing one is a failure of the test. */
export const canSsh = Boolean(process.env['CI']) || (existsSync(SSHD) && process.getuid?.() === 0);

function makeKey(file: string): void {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
}

async function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

export async function startSshd(): Promise<SshServer> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'forge-sshd-'));
  const file = (name: string) => path.join(folder, name);
  const port = await freePort();
  for (const name of ['host', 'client', 'stranger']) makeKey(file(name));
  await writeFile(file('authorized'), await readFile(file('client.pub')), { mode: 0o600 });
  const hostKey = (await readFile(file('host.pub'), 'utf8')).split(' ').slice(0, 2).join(' ');
  await writeFile(file('known'), `[127.0.0.1]:${port} ${hostKey}\n`);
  await writeFile(file('nobody'), '');
  await writeFile(
    file('sshd_config'),
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${file('host')}`,
      `PidFile ${file('pid')}`,
      `AuthorizedKeysFile ${file('authorized')}`,
      'PermitRootLogin prohibit-password',
      'PasswordAuthentication yes',
      'StrictModes no',
      'UsePAM no',
    ].join('\n'),
  );
  const wrapper = async (name: string, key: string, known: string) => {
    await mkdir(file(name));
    const options = `-F /dev/null -i ${file(key)} -o IdentitiesOnly=yes -o UserKnownHostsFile=${file(known)}`;
    await writeFile(file(`${name}/ssh`), `#!/bin/sh\nexec /usr/bin/ssh ${options} "$@"\n`);
    await chmod(file(`${name}/ssh`), 0o755);
    return `${file(name)}:${process.env['PATH']}`;
  };
  const server = {
    port,
    url: `ssh://127.0.0.1:${port}`,
    path: await wrapper('right', 'client', 'known'),
    strangerPath: await wrapper('wrong', 'stranger', 'known'),
    unknownHostPath: await wrapper('unknown', 'client', 'nobody'),
  };
  await mkdir('/run/sshd', { recursive: true });
  const child: ChildProcess = spawn(SSHD, ['-D', '-e', '-f', file('sshd_config')], { stdio: 'ignore' });
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await poll('sshd listens', START_MS, () => listens(port));
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...server, stop };
}
