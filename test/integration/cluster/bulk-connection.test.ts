import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BulkConnection } from '../../../src/cluster/bulk/bulk-connection.js';
import { type ConnectNodeOptions, connectNode } from '../../../src/cluster/node-connection.js';
import { type RedisServer, startRedis } from '../../support/redis.js';

const PASSWORD = 'bulk secret';
let server: RedisServer;

beforeAll(async () => {
  server = await startRedis({ requirepass: PASSWORD });
});
afterAll(() => server?.stop());

const open = async (timeoutMs = 5_000, options: Partial<ConnectNodeOptions> = {}) => {
  const connection = await connectNode({ host: '127.0.0.1', port: server.port, password: PASSWORD, ...options });
  return new BulkConnection(connection, timeoutMs);
};

describe('a connection for many commands', () => {
  it('answers thousands at once, each in its place, bytes as they are', async () => {
    const bulk = await open();
    const binary = Buffer.from([0, 255, 13, 10, 36]);
    const sets = Array.from({ length: 5_000 }, (_, i) => ['SET', `k${i}`, i === 7 ? binary : i] as const);
    expect((await bulk.callAll(sets)).every(({ status }) => status === 'fulfilled')).toBe(true);
    const gets = Array.from({ length: 5_000 }, (_, i) => ['GET', `k${i}`] as const);
    const [texts, buffers] = await Promise.all([bulk.callAll(gets), bulk.callAll(gets, { binary: true })]);
    expect(texts[42]).toEqual({ status: 'fulfilled', value: '42' });
    expect(buffers[7]).toEqual({ status: 'fulfilled', value: binary });
    expect(await bulk.call('MGET', 'k1', 'none')).toEqual(['1', null]);
    bulk.close();
  });

  it('tells what the server refuses, beside what it does', async () => {
    const bulk = await open();
    const outcomes = await bulk.callAll([
      ['SET', 'text', 'x'],
      ['INCR', 'text'],
      ['GET', 'text'],
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(outcomes[1]).toMatchObject({
      reason: { kind: 'refused', message: expect.stringContaining('not an integer') },
    });
    bulk.close();
  });

  it('gives up in time, drops the answer that comes late, and goes on', async () => {
    const bulk = await open(300);
    const started = performance.now();
    const slow = await bulk.callAll([['BLPOP', 'nothing', 0.8]]);
    expect(slow[0]).toMatchObject({ status: 'rejected', reason: { kind: 'timeout', host: server.address } });
    expect(performance.now() - started).toBeLessThan(700);
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(await bulk.call('ECHO', 'again')).toBe('again');
    bulk.close();
  });

  it('fails what is under way when the connection is lost, and what comes after', async () => {
    const bulk = await open();
    const id = await bulk.call('CLIENT', 'ID');
    const blocked = bulk.callAll([['PING'], ['BLPOP', 'nothing', 30]]);
    const other = await open();
    await other.call('CLIENT', 'KILL', 'ID', Number(id));
    const outcomes = await blocked;
    expect(outcomes[0]).toEqual({ status: 'fulfilled', value: 'PONG' });
    expect(outcomes[1]).toMatchObject({ status: 'rejected', reason: { kind: 'unreachable' } });
    expect(bulk.isOpen).toBe(false);
    await expect(bulk.call('PING')).rejects.toMatchObject({ kind: 'unreachable' });
    other.close();
  });

  it('closes the connection to what stops speaking Redis', async () => {
    const liar = net.createServer((socket) => {
      let first = true;
      socket
        .on('error', () => undefined)
        .on('data', () => {
          socket.write(first ? '+PONG\r\n' : '<html>\r\n');
          first = false;
        });
    });
    await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve));
    const { port } = liar.address() as net.AddressInfo;
    const connection = await connectNode({ host: '127.0.0.1', port });
    const bulk = new BulkConnection(connection, 5_000);
    await expect(bulk.call('GET', 'x')).rejects.toMatchObject({ kind: 'unreachable' });
    expect(bulk.isOpen).toBe(false);
    liar.close();
  });
});
