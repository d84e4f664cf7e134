/** What a person is told when an engine cannot be used, each reproduced with the real thing where that is possible. */
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reads } from '../../../src/docker/command.js';
import { engineInfo, engineVersion } from '../../../src/docker/commands/engine.js';
import { parseEndpoint } from '../../../src/docker/endpoint.js';
import { DockerEngine, type EngineOptions } from '../../../src/docker/engine.js';
import { infoAnswer } from '../../../src/docker/inspect.js';
import { dockerForTests, type TestDocker } from '../../support/docker/engine.js';
import { sessionSettings } from '../../support/docker-ssh.js';
import { freePort } from '../../support/ports.js';
import { poll } from '../../support/redis.js';
import { type SshHost, startSshHost } from '../../support/sshd.js';

/** An answer comes at once; this machine may be busy. */
const SOON_MS = 15_000;

let directory: string;
let docker: TestDocker | null;

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-engine-'));
  docker = await dockerForTests();
});

afterAll(async () => {
  await docker?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** A program of the tests' own in place of `docker`. */
async function program(name: string, text: string): Promise<string> {
  const file = path.join(directory, name);
  await writeFile(file, `#!/bin/sh\n${text}\n`);
  await chmod(file, 0o755);
  return file;
}

async function failure(address: string, options: EngineOptions = {}) {
  const begun = performance.now();
  const engine = new DockerEngine(parseEndpoint(address, 'a1'), options);
  try {
    const error = await engine.version().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    return { error, tookMs: performance.now() - begun };
  } finally {
    await engine.close();
  }
}

describe('an engine that cannot be used', () => {
  it('has no docker command on this host', async () => {
    const { error } = await failure('unix:///run/docker.sock', { program: path.join(directory, 'none') });
    expect(error).toMatchObject({ kind: 'missing', details: { reason: 'no-program' } });
  });

  it('does not run', async () => {
    const { error } = await failure(`unix://${directory}/none.sock`);
    expect(error).toMatchObject({ kind: 'unreachable', host: 'a1', details: { reason: 'no-daemon' } });
  });

  it('does not run behind a TCP port', async () => {
    const { error } = await failure(`tcp://127.0.0.1:${await freePort()}`);
    expect(error).toMatchObject({ kind: 'unreachable', details: { reason: 'no-daemon' } });
  });

  it('hangs', async () => {
    const server = net.createServer(() => {}).listen(path.join(directory, 'hangs.sock'));
    try {
      const { error, tookMs } = await failure(`unix://${directory}/hangs.sock`, { probeTimeoutMs: 500 });
      expect(error).toMatchObject({ kind: 'unreachable', message: 'a1 does not answer within 0.5 s.' });
      expect(tookMs).toBeLessThan(SOON_MS);
    } finally {
      server.close();
    }
  });

  it('does not let this user in', async (context) => {
    if (docker === null) return context.skip('there is no Docker here');
    const nobody = await program('nobody', 'exec setpriv --reuid 65534 --regid 65534 --clear-groups docker "$@"');
    await chmod(directory, 0o755);
    const { error } = await failure(docker.host, { program: nobody });
    expect(error).toMatchObject({ kind: 'denied', details: { reason: 'no-permission' } });
    expect((error as { next: string[] }).next.join()).toMatch(/usermod -aG docker/);
  });

  it.each([
    ['engine', '28.0.1', '19.03.15', 'The Docker engine of a1 is version 19.03.15; 20.10 is needed.'],
    ['command', '18.09.1', '28.0.1', 'The docker command of this host is version 18.09.1; 20.10 is needed.'],
  ])('is too old: the %s', async (name, client, server, message) => {
    const answer = JSON.stringify({ Client: { Version: client }, Server: { Version: server } });
    const { error } = await failure('unix:///x', { program: await program(name, `echo '${answer}'`) });
    expect(error).toMatchObject({ kind: 'missing', message, details: { reason: 'too-old' } });
  });

  it('answers something else than Docker', async () => {
    const { error } = await failure('unix:///x', { program: await program('other', 'echo hello') });
    expect(error).toMatchObject({ kind: 'unexpected' });
  });

  it('is a context that is not there', async () => {
    const { error } = await failure('context:forge-no-such-context');
    expect(error).toMatchObject({ kind: 'configuration', details: { reason: 'no-context' } });
  });
});

describe('an engine', () => {
  it('tells its versions and what it has', async (context) => {
    if (docker === null) return context.skip('there is no Docker here');
    const engine = new DockerEngine(parseEndpoint(docker.host, 'here'));
    expect((await engine.version()).server).toMatch(/^\d+\.\d+/);
    expect((await engine.json(engineInfo(), infoAnswer)).NCPU).toBeGreaterThan(0);
  });

  it('can be told to give up', async () => {
    const slow = await program('slow', 'exec sleep 60');
    const controller = new AbortController();
    const engine = new DockerEngine(parseEndpoint('unix:///x'), { program: slow, signal: controller.signal });
    const running = engine.run(engineVersion());
    setTimeout(() => controller.abort(new Error('enough')), 100);
    await expect(running).rejects.toThrow('enough');
  });

  it('has a bound on what a command prints, and on its time', async () => {
    const loud = await program('loud', 'yes');
    const engine = new DockerEngine(parseEndpoint('unix:///x', 'a1'), { program: loud });
    await expect(engine.run({ ...reads(['ps']), outputMaxBytes: 1000 })).rejects.toThrow(/more than can be true/);
    const slow = await program('slower', "trap '' TERM; sleep 60 & wait; sleep 60");
    const stuck = new DockerEngine(parseEndpoint('unix:///x', 'a1'), { program: slow });
    await expect(stuck.run(reads(['ps'], 200))).rejects.toMatchObject({ kind: 'timeout', host: 'a1' });
  });

  it('hands on lines as they come, until it is told to stop', async () => {
    const lines: string[] = [];
    const talker = await program('talker', 'while :; do echo out; echo err >&2; sleep 0.05; done');
    const said = (stream: string) => lines.filter((line) => line.startsWith(stream));
    const controller = new AbortController();
    const engine = new DockerEngine(parseEndpoint('unix:///x'), { program: talker });
    await engine.follow(
      reads(['logs'], 60_000),
      (line, stream) => {
        lines.push(`${stream} ${line}`);
        // Each stream has an order of its own; which is read first is chance.
        if (said('stdout').length >= 2 && said('stderr').length >= 2) controller.abort();
      },
      { signal: controller.signal },
    );
    expect(said('stdout')[0]).toBe('stdout out');
    expect(said('stderr')[0]).toBe('stderr err');
    expect(new Set(lines)).toEqual(new Set(['stdout out', 'stderr err']));
  });
});

describe('an engine over SSH', () => {
  let host: SshHost | null;

  beforeAll(async () => {
    host = await startSshHost([sessionSettings(docker?.host ?? 'unix:///none')]).catch((error: unknown) => {
      if (process.env['CI']) throw error;
      return null;
    });
  });
  afterAll(() => host?.stop());

  it('asks for a password: it fails at once and says how to set up a key', async (context) => {
    if (host === null) return context.skip('there is no sshd here');
    const environment = await host.withoutKey();
    const { error, tookMs } = await failure(host.address, { environment });
    expect(error).toMatchObject({ kind: 'denied', host: 'a1', details: { reason: 'login-refused' } });
    const { username } = os.userInfo();
    expect((error as { next: string[] }).next.join()).toContain(`ssh-copy-id -p ${host.port} ${username}@127.0.0.1`);
    expect(tookMs).toBeLessThan(SOON_MS);
  });

  it('has a host key that nobody has accepted: it is not accepted in passing', async (context) => {
    if (host === null) return context.skip('there is no sshd here');
    const environment = await host.asStranger();
    const { error } = await failure(host.address, { environment });
    expect(error).toMatchObject({ kind: 'denied', details: { reason: 'host-key' } });
  });

  it('has no docker command', async (context) => {
    if (host === null) return context.skip('there is no sshd here');
    const bare = await startSshHost(['SetEnv PATH=/nonexistent SHLVL=2']);
    try {
      const { error } = await failure(bare.address, { environment: bare.environment });
      expect(error).toMatchObject({ kind: 'missing', details: { reason: 'no-remote-docker' } });
    } finally {
      await bare.stop();
    }
  });

  it('does not listen', async () => {
    const { error } = await failure(`ssh://nobody@127.0.0.1:${await freePort()}`);
    expect(error).toMatchObject({ kind: 'unreachable', details: { reason: 'no-answer' } });
    expect((error as Error).message).toMatch(/Connection refused/);
  });

  it('accepts the connection and never says anything', async () => {
    const sockets: net.Socket[] = [];
    const server = net.createServer((socket) => void sockets.push(socket.on('error', () => {}))).listen(0, '127.0.0.1');
    await poll('it listens', SOON_MS, () => server.listening);
    try {
      const { error, tookMs } = await failure(`ssh://nobody@127.0.0.1:${(server.address() as net.AddressInfo).port}`);
      expect(error).toMatchObject({ kind: 'unreachable', details: { reason: 'no-answer' } });
      expect(tookMs).toBeLessThan(20_000);
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });

  it('shares one connection among all commands, which ends with it and leaves nothing', async (context) => {
    if (host === null || docker === null) return context.skip('there is no sshd or no Docker here');
    const logins = await host.logins();
    const engine = new DockerEngine(parseEndpoint(host.address, 'there'), { environment: host.environment });
    const before = await sharedFolders();
    await engine.version();
    await Promise.all([engine.json(engineInfo(), infoAnswer), engine.run(engineVersion())]);
    expect(await host.logins()).toBe(logins + 1);
    expect((await sharedFolders()).length).toBe(before.length + 1);
    await engine.close();
    await poll('the connection is gone', SOON_MS, async () => (await sharedFolders()).length === before.length);
    // Another command opens another one.
    await engine.run(engineVersion());
    expect(await host.logins()).toBe(logins + 2);
    await engine.close();
  });
});

/** Folders of shared connections of this process. */
async function sharedFolders(): Promise<string[]> {
  const names = await readdir(os.tmpdir());
  return names.filter((name) => name.startsWith(`forge-shared-ssh-${process.pid}-`));
}
