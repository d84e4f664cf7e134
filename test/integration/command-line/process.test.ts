import { spawn } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forge, startForge } from '../../support/forge.js';
import { ROOT, readText } from '../../support/repository.js';

const { version } = JSON.parse(readText('package.json')) as { version: string };

/** A server that takes connections and never answers: whoever talks to it waits. */
let silent: net.Server;
let silentPort: string;
const sockets = new Set<net.Socket>();
let connected: () => void = () => {};

beforeAll(async () => {
  silent = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    connected();
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  silentPort = String((silent.address() as net.AddressInfo).port);
});

afterAll(() => {
  for (const socket of sockets) socket.destroy();
  silent.close();
});

describe('the program', () => {
  it('says its version', async () => {
    const { code, stdout } = await forge(['--version']);
    expect(code).toBe(0);
    expect(stdout).toContain(`redisforge/${version}`);
  });

  it('shows help for itself, a topic and a command', async () => {
    for (const args of [['--help'], ['proxy', '--help'], ['up', '--help'], []]) {
      const { code, stdout } = await forge(args);
      expect(code, args.join(' ')).toBe(0);
      expect(stdout).toContain('USAGE');
    }
  });

  it('answers an unknown command or flag with exit code 2 and no stack', async () => {
    for (const args of [['nope'], ['proxy', 'nope'], ['status', '--nope']]) {
      const { code, stdout, stderr } = await forge(args);
      expect(code, args.join(' ')).toBe(2);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/^Error: /);
      expect(stderr).not.toMatch(/^\s+at /m);
    }
  });

  it('puts the same errors into one document with --json', async () => {
    for (const args of [
      ['nope', '--json'],
      ['status', '--nope', '--json'],
    ]) {
      const { code, stdout, stderr } = await forge(args);
      expect(code).toBe(2);
      expect(JSON.parse(stdout)).toMatchObject({ error: { kind: 'usage', exitCode: 2 } });
      expect(stderr).toBe('');
    }
  });

  it('writes no colours into a pipe', async () => {
    const { stdout, stderr } = await forge(['status', '--nope']);
    expect(stdout + stderr).not.toContain('\u001b');
  });

  it('does not mind that the reader of a pipe leaves', async () => {
    for (const args of ['--help', 'up --help']) {
      const command = `set -o pipefail; "${process.execPath}" "${path.join(ROOT, 'bin/run.js')}" ${args} | true`;
      const child = spawn('bash', ['-c', command], { stdio: ['ignore', 'ignore', 'pipe'] });
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text) => {
        stderr += text;
      });
      const code = await new Promise((resolve) => child.once('close', resolve));
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
  });

  it.each([
    ['SIGINT', 130, 'interrupted'],
    ['SIGTERM', 143, 'terminated'],
  ] as const)('ends cleanly on %s in the middle of its work', async (name, exitCode, kind) => {
    const reached = new Promise<void>((resolve) => {
      connected = resolve;
    });
    const { child, ended } = startForge(['smoke-test', '127.0.0.1', silentPort, '--timeout', '60', '--json']);
    await reached;
    child.kill(name);
    const { code, stdout } = await ended;
    expect(code).toBe(exitCode);
    expect(JSON.parse(stdout)).toMatchObject({ error: { kind, exitCode } });
  });
});
