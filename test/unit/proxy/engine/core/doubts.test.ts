/** WAIT after a master is gone: what it took may be gone with it, and who is asked now would count what it has itself. */
import { describe, expect, it } from 'vitest';
import { SLOT_COUNT } from '../../../../../src/proxy/engine/hash/crc16.js';
import { type FakeClient, FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const command = (...args: string[]) => encodeCommandText(args).toString('latin1');
/** Of the second of two nodes. */
const KEY = 'foo';
const OLD = 'node1:7000';
const NEW = 'node0:7000';
const WAIT = command('WAIT', '1', '100');
const WAITAOF = command('WAITAOF', '0', '1', '100');

interface Stand {
  readonly fake: FakeCore;
  /** Has written something to the second node. */
  readonly writer: FakeClient;
}

function stand(): Stand {
  const fake = new FakeCore(2);
  fake.turn();
  const writer = fake.client();
  write(fake, writer, OLD);
  return { fake, writer };
}

function write(fake: FakeCore, { say, socket }: FakeClient, address: string): void {
  say(command('SET', KEY, 'x'));
  fake.answer(address, '+OK\r\n');
  expect(socket.take()).toBe('+OK\r\n');
}

/** The first node has all slots. */
function fallTo0({ core }: FakeCore): void {
  core.router.slotMap.replace(new Uint16Array(SLOT_COUNT).fill(0));
  core.router.mapChanged();
}

function lose(fake: FakeCore): void {
  const { events, socket } = fake.upstream(OLD);
  socket.terminated = true;
  events.closed('reset');
  fake.turn();
}

/** What the client is told at once; of a node that is asked, it says two. */
function wait(fake: FakeCore, { say, socket }: FakeClient): string {
  const before = fake.upstreams.length;
  const said = say(WAIT);
  for (const { events, socket: own } of fake.upstreams.slice(before)) {
    const marks = own.take().includes('MULTI');
    events.received(Buffer.from(`${marks ? '+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n' : ''}:2\r\n`));
  }
  fake.turn();
  return said + socket.take();
}

describe('WAIT for what a master took that is gone', () => {
  it('counts 0 until something is written again, and then the replicas of who has the slots', () => {
    const { fake, writer } = stand();
    const other = fake.client();
    fake.refusing.add(OLD);
    lose(fake);
    fake.pass(1000);
    fallTo0(fake);
    expect([wait(fake, writer), wait(fake, writer)]).toEqual([':0\r\n', ':0\r\n']);
    expect(writer.say(WAITAOF)).toBe('*2\r\n:0\r\n:0\r\n');
    write(fake, writer, NEW);
    expect([wait(fake, writer), wait(fake, other)]).toEqual([':2\r\n', ':2\r\n']);
  });

  it('tells it though something else was written before it could', () => {
    const { fake, writer } = stand();
    fake.refusing.add(OLD);
    lose(fake);
    fake.pass(1000);
    fallTo0(fake);
    write(fake, writer, NEW);
    expect([wait(fake, writer), wait(fake, writer)]).toEqual([':0\r\n', ':0\r\n']);
  });

  it('counts 0 where a master has said that the cluster is down, and others have its slots then', () => {
    const { fake, writer } = stand();
    fake.client().say(command('GET', KEY));
    fake.answer(OLD, '-CLUSTERDOWN The cluster is down\r\n');
    fallTo0(fake);
    expect(wait(fake, writer)).toBe(':0\r\n');
  });

  it('counts 0 where a master hangs that others have the slots of', () => {
    const { fake, writer } = stand();
    fake.client().say(command('GET', KEY));
    fake.pass(1000);
    fallTo0(fake);
    expect(wait(fake, writer)).toBe(':0\r\n');
  });
});

describe('WAIT at a node that is a master no more, and is not known to be none', () => {
  const NO_MASTER = '-ERR WAIT cannot be used with replica instances.\r\n';

  /** It says so on the connection that is made for the WAIT. */
  function refused(wait = WAIT) {
    const { fake, writer } = stand();
    const before = fake.upstreams.length;
    expect(writer.say(wait)).toBe('');
    const own = fake.upstreams[before];
    own?.socket.take();
    own?.events.received(Buffer.from(`+OK\r\n-MOVED 1 x:1\r\n-MOVED 1 x:1\r\n-EXECABORT x\r\n${NO_MASTER}`));
    fake.turn();
    expect(writer.socket.take()).toBe('');
    return { fake, writer };
  }

  it('asks who has its slots as soon as that is known', () => {
    const { fake, writer } = refused();
    expect(fake.refreshes).toContain('moved');
    fallTo0(fake);
    const before = fake.upstreams.length;
    fake.pass(60);
    const own = fake.upstreams[before];
    expect(own?.address).toBe(NEW);
    expect(own?.socket.take()).toMatch(/MULTI.*WAIT/s);
    own?.events.received(Buffer.from('+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n:2\r\n'));
    fake.turn();
    expect(writer.socket.take()).toBe(':2\r\n');
  });

  it('counts 0 when that is not known after an op_timeout, however long the client would wait', () => {
    const { fake, writer } = refused(command('WAIT', '1', '0'));
    fake.pass(4_900);
    expect(writer.socket.take()).toBe('');
    fake.pass(200);
    expect(writer.socket.take()).toBe(':0\r\n');
  });

  it('passes it on where there is no cluster that could have another', () => {
    const fake = new FakeCore(2);
    fake.core.router.keySpace = Object.assign(Object.create(fake.core.router.keySpace), { clustered: false });
    fake.turn();
    const writer = fake.client();
    write(fake, writer, OLD);
    const before = fake.upstreams.length;
    writer.say(command('WAIT', '1', '0'));
    fake.upstreams[before]?.events.received(
      Buffer.from(`+OK\r\n-READONLY x\r\n-READONLY x\r\n-EXECABORT x\r\n${NO_MASTER}`),
    );
    fake.turn();
    expect(writer.socket.take()).toBe(NO_MASTER);
  });

  it('counts 0 when that is not known in time', () => {
    const { fake, writer } = refused();
    fake.pass(120);
    expect(writer.socket.take()).toBe(':0\r\n');
    fallTo0(fake);
    fake.pass(200);
    expect(writer.socket.take()).toBe('');
  });
});

describe('WAIT counts as ever', () => {
  it('and says what a master refuses in its own words', () => {
    const { fake, writer } = stand();
    const before = fake.upstreams.length;
    writer.say(WAITAOF);
    const refusal = '-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n';
    const done = '+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n';
    fake.upstreams[before]?.events.received(Buffer.from(`${done}${refusal}`));
    fake.turn();
    expect(writer.socket.take()).toBe(refusal);
  });

  it('after a planned failover', () => {
    const { fake, writer } = stand();
    fallTo0(fake);
    // It is restarted then.
    fake.refusing.add(OLD);
    lose(fake);
    fake.pass(1000);
    expect(wait(fake, writer)).toBe(':2\r\n');
  });

  it('after a connection was lost that could be made again', () => {
    const { fake, writer } = stand();
    lose(fake);
    fake.pass(1000);
    fallTo0(fake);
    expect(wait(fake, writer)).toBe(':2\r\n');
  });

  it('when the cluster was down long ago', () => {
    const { fake, writer } = stand();
    const reader = fake.client();
    reader.say(command('GET', KEY));
    fake.answer(OLD, '-CLUSTERDOWN The cluster is down\r\n');
    fake.pass(100);
    fake.answer(OLD, '$1\r\nx\r\n');
    expect(reader.socket.take()).toBe('$1\r\nx\r\n');
    fake.pass(30_000);
    fallTo0(fake);
    expect(wait(fake, writer)).toBe(':2\r\n');
  });

  it('for a client that has written to another node', () => {
    const { fake } = stand();
    const elsewhere = fake.client();
    elsewhere.say(command('SET', 'bar', 'x'));
    fake.answer(NEW, '+OK\r\n');
    elsewhere.socket.take();
    fake.refusing.add(OLD);
    lose(fake);
    fake.pass(1000);
    expect(wait(fake, elsewhere)).toBe(':2\r\n');
  });
});
