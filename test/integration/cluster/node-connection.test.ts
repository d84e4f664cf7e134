import { execFile } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectNode } from '../../../src/cluster/node-connection.js';
import { replyErrorOf } from '../../../src/cluster/node-failure.js';
import { freePort } from '../../support/ports.js';
import { type RedisServer, startRedis } from '../../support/redis.js';
import { failureOf } from './formed.js';

const PASSWORD = 'connection secret';
const ROOT = path.resolve(import.meta.dirname, '../../..');

let server: RedisServer;
beforeAll(async () => {
  const reader = ['--user', 'reader', 'on', '>reading', '+ping', '+auth'];
  server = await startRedis({ requirepass: PASSWORD, args: reader });
});
afterAll(() => server.stop());

const opened: net.Server[] = [];
afterEach(() => {
  for (const listener of opened.splice(0)) listener.close();
});

/** Something that is no Redis. */
async function listen(onConnection: (socket: net.Socket) => void): Promise<number> {
  const listener = net.createServer((socket) => {
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  opened.push(listener);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return (listener.address() as net.AddressInfo).port;
}

const at = (port: number, more = {}) =>
  connectNode({ host: '127.0.0.1', port, connectTimeoutMs: 500, commandTimeoutMs: 300, ...more });

describe('a connection to a node', () => {
  it('stands after authentication, and names the node in the errors of its commands', async () => {
    const connection = await at(server.port, { password: PASSWORD });
    expect(connection).toMatchObject({ label: server.address, ip: '127.0.0.1', passwordUnused: false, isOpen: true });
    expect(await connection.call('PING')).toBe('PONG');
    const failure = await failureOf(connection.call('NOSUCHCOMMAND'));
    expect(failure).toMatchObject({ kind: 'refused', host: server.address });
    expect(replyErrorOf(failure)).toMatch(/^ERR unknown command/);
    connection.close();
    expect((await failureOf(connection.call('PING'))).kind).toBe('unreachable');
  });

  it.each([
    [{}, /asks for a password/],
    [{ password: 'wrong one' }, /password is wrong/],
    [{ username: 'nobody', password: 'wrong one' }, /password is wrong/],
  ])('is denied with %j', async (credentials, message) => {
    const failure = await failureOf(at(server.port, credentials));
    expect(failure).toMatchObject({ kind: 'denied', exitCode: 11, host: server.address });
    expect(failure.message).toMatch(message);
    expect(JSON.stringify(failure) + failure.stack).not.toContain('wrong one');
  });

  it('tells a command that the user may not run', async () => {
    const connection = await at(server.port, { username: 'reader', password: 'reading' });
    const failure = await failureOf(connection.call('CLUSTER', 'NODES'));
    connection.close();
    expect(failure).toMatchObject({ kind: 'denied' });
    expect(failure.message).toContain('CLUSTER');
  });

  it('goes on where a password is given and none is asked for', async () => {
    const open = await startRedis();
    try {
      const connection = await connectNode({ host: open.host, port: open.port, password: 'unused' });
      expect(connection.passwordUnused).toBe(true);
      connection.close();
    } finally {
      await open.stop();
    }
  });

  it('says that nothing listens on a port', async () => {
    const failure = await failureOf(at(await freePort()));
    expect(failure).toMatchObject({ kind: 'unreachable', exitCode: 4 });
    expect(failure.message).toContain('nothing listens');
  });

  it('does not wait longer than its bound for a server that says nothing, or is stopped in the middle', async () => {
    const silent = await failureOf(at(await listen(() => undefined)));
    expect(silent.message).toContain('does not answer');
    const connection = await at(server.port, { password: PASSWORD });
    await server.kill('SIGSTOP');
    const failure = await failureOf(connection.call('PING'));
    await server.kill('SIGCONT');
    connection.close();
    expect(failure).toMatchObject({ kind: 'timeout', exitCode: 7, host: server.address });
  });

  it.each([
    ['speaks HTTP', (socket: net.Socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['closes at once', (socket: net.Socket) => void socket.destroy()],
    ['sends junk', (socket: net.Socket) => void socket.end(Buffer.from([0, 255, 13, 10, 1]))],
  ])('is refused as unreachable by a server that %s', async (_, behaviour) => {
    const failure = await failureOf(at(await listen(behaviour)));
    expect(failure).toMatchObject({ kind: 'unreachable' });
    expect(failure.message).toContain('does not speak Redis');
  });

  it('is refused with TLS where the port speaks none', async () => {
    const failure = await failureOf(at(server.port, { tls: {} }));
    expect(failure.kind).toBe('unreachable');
    expect(failure.message).toContain('does this port speak TLS?');
  });

  it('ends its attempt when the signal says so', async () => {
    const port = await listen(() => undefined);
    const controller = new AbortController();
    const attempt = failureOf(at(port, { signal: controller.signal, commandTimeoutMs: 30_000 }));
    setTimeout(() => controller.abort(new Error('enough')), 50);
    expect((await attempt).message).toBe('enough');
  });

  it('shows its password nowhere, also with the debug output of its client switched on', async () => {
    const script = `
      import { connectNode } from './src/cluster/node-connection.ts';
      const options = { host: '127.0.0.1', port: ${server.port} };
      const connection = await connectNode({ ...options, password: process.env.REDIS_REQUIREPASS });
      console.log(await connection.call('PING'));
      connection.close();
      await connectNode({ ...options, password: 'a wrong secret' }).catch((error) => console.log(error));
    `;
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', script],
      { cwd: ROOT, env: { ...process.env, DEBUG: '*', REDIS_REQUIREPASS: PASSWORD }, timeout: 20_000 },
    );
    expect(stdout).toContain('PONG');
    expect(stderr).toContain('AUTH');
    for (const secret of [PASSWORD, 'a wrong secret', Buffer.from(PASSWORD).toString('hex').slice(0, 12)]) {
      expect(stdout + stderr).not.toContain(secret);
    }
  });
});
