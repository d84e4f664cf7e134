import { describe, expect, it } from 'vitest';
import { type FakeClient, FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const GET = encodeCommandText(['GET', 'a']).toString('latin1');
const NODE = 'node0:7000';
const KIB = 1024;
const LIMITS = {
  clientOutputBytesMax: 64 * KIB,
  extraOutputBytesMax: 128 * KIB,
  outputBytesTotalMax: 1024 * KIB,
  clientHoldMs: 40,
  clientHoldMaxMs: 2000,
  clientStallMs: 500,
  clientUnreadMs: 10_000,
};

/** A client that has asked for a value of that size, takes nothing, and has been sent it. */
function slow(bytes: number, limits = {}): { fake: FakeCore } & FakeClient {
  const fake = new FakeCore(1, {}, { ...LIMITS, ...limits });
  fake.turn();
  return { fake, ...ask(fake, bytes) };
}

function ask(fake: FakeCore, bytes: number): FakeClient {
  const client = fake.client();
  client.socket.room = 0;
  client.say(GET);
  fake.answer(NODE, `$${bytes}\r\n${'x'.repeat(bytes)}\r\n`);
  return client;
}

/** It takes some of what waits for it. */
function read(fake: FakeCore, { client, socket }: FakeClient, bytes: number): void {
  socket.room = bytes;
  client.drained();
  fake.turn();
}

describe('a client that leaves more than its share unread', () => {
  it('holds up its upstream connection, and is disconnected when it reads nothing', () => {
    const { fake, socket } = slow(100 * KIB);
    expect(fake.upstream(NODE).socket.paused).toBe(true);
    fake.pass(480);
    expect(socket.terminated).toBe(false);
    fake.pass(40);
    expect(socket.terminated).toBe(true);
    expect(fake.upstream(NODE).socket.paused).toBe(false);
    expect(fake.counter('downstream_cx_overflow_close')).toBe(1);
  });

  it('gets more room when it reads, and the connection goes on', () => {
    const { fake, socket, client, say } = slow(100 * KIB);
    fake.pass(20);
    read(fake, { socket, client, say }, KIB);
    expect(fake.upstream(NODE).socket.paused).toBe(true);
    fake.pass(40);
    expect(fake.upstream(NODE).socket.paused).toBe(false);
    fake.pass(5000);
    expect(socket.terminated).toBe(false);
  });

  it('is disconnected although it reads when there is no more room', () => {
    const { fake, ...client } = slow(100 * KIB, { extraOutputBytesMax: 0 });
    for (let i = 0; i < 9; i++) {
      fake.pass(200);
      read(fake, client, 10);
    }
    expect(client.socket.terminated).toBe(false);
    fake.pass(240);
    expect(client.socket.terminated).toBe(true);
  });

  it('gives the room back when it has taken everything', () => {
    const { fake, ...client } = slow(100 * KIB, { extraOutputBytesMax: 64 * KIB });
    fake.pass(20);
    read(fake, client, KIB);
    fake.pass(60);
    read(fake, client, Number.POSITIVE_INFINITY);
    fake.pass(20);
    const other = ask(fake, 100 * KIB);
    fake.pass(20);
    read(fake, other, KIB);
    fake.pass(60);
    expect(fake.upstream(NODE).socket.paused).toBe(false);
    expect(other.socket.terminated).toBe(false);
  });

  it('is disconnected after a minute when nobody else waits for it', () => {
    const { fake, socket } = slow(10 * KIB);
    fake.pass(9_960);
    expect(socket.terminated).toBe(false);
    fake.pass(80);
    expect(socket.terminated).toBe(true);
    expect(fake.counter('downstream_cx_slow_close')).toBe(1);
  });
});

describe('clients that leave too much unread together', () => {
  it('lose the one with the most', () => {
    const { fake, socket } = slow(30 * KIB, { outputBytesTotalMax: 100 * KIB });
    const most = ask(fake, 50 * KIB);
    fake.pass(20);
    expect(most.socket.terminated).toBe(false);
    const last = ask(fake, 40 * KIB);
    fake.pass(20);
    expect([socket, most.socket, last.socket].map((each) => each.terminated)).toEqual([false, true, false]);
  });
});
