import { describe, expect, it } from 'vitest';
import { FakeCore } from '../support/fake-core.js';

const command = (...args: string[]) =>
  `*${args.length}\r\n${args.map((arg) => `$${Buffer.byteLength(arg, 'latin1')}\r\n${arg}\r\n`).join('')}`;
const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;
const GREETING = command('INFO', 'server');
const NODES = command('CLUSTER', 'NODES');
const MOVED = '-ERR slots have moved between shards since this scan began: start it again with cursor 0\r\n';

const info = (runId: string) => bulk(`# Server\r\nredis_version:7.0.15\r\nrun_id:${runId}\r\n`);
const scanned = (cursor: string, ...keys: string[]) =>
  `*2\r\n${bulk(cursor)}*${keys.length}\r\n${keys.map(bulk).join('')}`;
const myself = (slots: string, flags = 'myself,master') =>
  bulk(`e7 10.0.0.1:1@2 ${flags} - 0 0 1 connected ${slots}\n`);

/** The cursor in a reply. */
const cursorIn = (reply: string) => /^\*2\r\n\$\d+\r\n(\d+)\r\n/.exec(reply)?.[1] ?? reply;
const keysIn = (reply: string) => reply.slice(reply.indexOf('\r\n*') + 2);

const HALVES = ['0-8191', '8192-16383'];

/** Two masters; `say` and the nodes' sockets by number. */
function start(limits: Record<string, number> = {}) {
  const fake = new FakeCore(2, {}, limits);
  fake.turn();
  const client = fake.client();
  const sent = (node: number) => fake.upstream(`node${node}:7000`).socket.take();
  const answer = (node: number, text: string) => {
    fake.answer(`node${node}:7000`, text);
    return client.socket.take();
  };
  return { fake, client, sent, answer, scan: (...args: string[]) => client.say(command('SCAN', ...args)) };
}

describe('SCAN', () => {
  it('asks once who answers, passes options on, and goes from shard to shard', () => {
    const { client, sent, answer, scan } = start();
    expect(scan('0', 'MATCH', 'a*')).toBe('');
    expect(sent(0)).toBe(GREETING + command('SCAN', '0', 'MATCH', 'a*'));
    const first = answer(0, info('one') + scanned('17', 'a1', 'a2'));
    expect(keysIn(first)).toBe(`*2\r\n${bulk('a1')}${bulk('a2')}`);

    scan(cursorIn(first), 'COUNT', '5');
    expect(sent(0)).toBe(command('SCAN', '17', 'COUNT', '5'));
    expect(answer(0, scanned('0', 'a3'))).toBe('');
    expect(sent(0)).toBe(NODES);
    const second = answer(0, myself(HALVES[0]!));
    expect(keysIn(second)).toBe(`*1\r\n${bulk('a3')}`);
    expect(cursorIn(second)).not.toBe('0');

    scan(cursorIn(second));
    expect(sent(0)).toBe('');
    expect(sent(1)).toBe(GREETING + command('SCAN', '0'));
    answer(1, info('two') + scanned('0'));
    const last = answer(1, myself(HALVES[1]!));
    expect(last).toBe(scanned('0'));
    expect(client.client.head).toBeNull();
  });

  it('begins a shard anew when another process answers', () => {
    const { fake, sent, answer, scan } = start();
    scan('0');
    const first = answer(0, info('one') + scanned('17', 'a'));
    sent(0);
    fake.upstream('node0:7000').socket.terminate();
    fake.upstreams.findLast(({ address }) => address === 'node0:7000')?.events.closed('gone');
    fake.pass(100);
    scan(cursorIn(first));
    expect(sent(0)).toBe(GREETING + command('SCAN', '17'));
    // Its cursor 17 is somewhere else: what it brought is dropped.
    expect(answer(0, info('other') + scanned('4', 'x'))).toBe('');
    expect(sent(0)).toBe(command('SCAN', '0'));
    expect(keysIn(answer(0, scanned('9', 'y')))).toBe(`*1\r\n${bulk('y')}`);
  });

  it('asks again over the next connection when one dies with it', () => {
    const { fake, client, sent, answer, scan } = start();
    scan('0');
    const first = answer(0, info('one') + scanned('17', 'a'));
    scan(cursorIn(first));
    expect(sent(0)).toContain(command('SCAN', '17'));
    const { socket, events } = fake.upstream('node0:7000');
    socket.terminate();
    events.closed('gone');
    fake.pass(100);
    expect(sent(0)).toBe(GREETING + command('SCAN', '17'));
    expect(keysIn(answer(0, info('one') + scanned('18', 'b')))).toBe(`*1\r\n${bulk('b')}`);
    expect(client.socket.terminated).toBe(false);
  });

  it('waits for a server that loads', () => {
    const { fake, sent, answer, scan } = start();
    scan('0');
    sent(0);
    const loading = '-LOADING Redis is loading the dataset in memory\r\n';
    answer(0, info('one') + loading);
    expect(sent(0)).toBe(command('DBSIZE'));
    answer(0, loading);
    fake.pass(300);
    expect(sent(0)).toBe(command('DBSIZE'));
    answer(0, ':0\r\n');
    expect(sent(0)).toBe(command('SCAN', '0'));
    expect(cursorIn(answer(0, scanned('3')))).not.toBe('0');
  });

  it('passes a server’s error on', () => {
    const { sent, answer, scan } = start();
    scan('0', 'COUNT', '0');
    sent(0);
    expect(answer(0, `${info('one')}-ERR syntax error\r\n`)).toBe('-ERR syntax error\r\n');
  });

  it('says so when slots have moved since it began', () => {
    const { fake, sent, answer, scan } = start();
    scan('0');
    const first = answer(0, info('one') + scanned('17', 'a'));
    sent(0);
    fake.core.router.slotMap.assign(5, 1);
    expect(scan(cursorIn(first))).toBe(MOVED);
    expect(sent(0)).toBe('');
  });

  it('does not mind who is the master of a shard', () => {
    const { fake, sent, answer, scan } = start();
    scan('0');
    const first = answer(0, info('one') + scanned('17', 'a'));
    const { router } = fake.core;
    router.applyNodes([0, 1, 2].map((index) => ({ index, host: `node${index}`, port: 7000 })));
    for (let slot = 0; slot < 8192; slot++) router.slotMap.assign(slot, 2);
    router.mapChanged();
    fake.turn();
    sent(0);
    expect(scan(cursorIn(first))).toBe('');
    expect(sent(2)).toBe(GREETING + command('SCAN', '17'));
    answer(2, info('three') + scanned('5'));
    expect(sent(2)).toBe(command('SCAN', '0'));
  });

  it.each([
    ['a slot is on its way from it', myself(`${HALVES[0]} [7->-ab]`)],
    ['a slot is on its way to it', myself(`${HALVES[0]} [9000-<-ab]`)],
    ['it has fewer slots than the map says', myself('0-8190')],
    ['it has more', myself('0-8192')],
    ['it has none', myself('')],
  ])('says so at the end of a shard when %s', (_what, nodes) => {
    const { fake, answer, scan } = start();
    scan('0');
    answer(0, info('one') + scanned('0', 'a'));
    expect(answer(0, nodes)).toBe(MOVED);
    expect(fake.refreshes).toContain('moved');
  });

  it('scans a shard once more when its master has become a replica, or is gone before it could be asked', () => {
    const { fake, client, answer, scan, sent } = start();
    scan('0');
    answer(0, info('one') + scanned('0', 'a'));
    sent(0);
    const again = answer(0, myself('', 'myself,slave'));
    expect(keysIn(again)).toBe(`*1\r\n${bulk('a')}`);
    scan(cursorIn(again));
    expect(sent(0)).toBe(command('SCAN', '0'));
    answer(0, scanned('0', 'a'));
    const { socket, events } = fake.upstream('node0:7000');
    socket.terminate();
    events.closed('gone');
    fake.turn();
    const third = client.socket.take();
    expect(keysIn(third)).toBe(`*1\r\n${bulk('a')}`);
    fake.pass(100);
    scan(cursorIn(third));
    expect(sent(0)).toBe(GREETING + command('SCAN', '0'));
  });

  it('does without what it may not ask', () => {
    const { answer, scan, sent } = start();
    scan('0');
    const first = answer(0, `-NOPERM no INFO\r\n${scanned('17', 'a')}`);
    sent(0);
    scan(cursorIn(first));
    expect(sent(0)).toBe(command('SCAN', '17'));
    answer(0, scanned('0'));
    const next = answer(0, '-NOPERM no CLUSTER\r\n');
    scan(cursorIn(next));
    expect(sent(1)).toBe(GREETING + command('SCAN', '0'));
  });

  it('says so when a shard’s own cursor leaves no room for the rest', () => {
    const { answer, scan } = start();
    scan('0');
    expect(answer(0, info('one') + scanned('18446744073709551615', 'a'))).toMatch(/^-ERR the shard has too many keys/);
  });

  it('answers upstream protocol error when the reply is none of SCAN’s', () => {
    const { answer, scan } = start();
    scan('0');
    expect(answer(0, `${info('one')}+OK\r\n`)).toBe('-upstream protocol error\r\n');
  });

  it('is over when the client leaves in the middle', () => {
    const { fake, client, answer, scan } = start();
    scan('0');
    answer(0, info('one') + scanned('0', 'a'));
    fake.core.left(client.client);
    answer(0, myself(HALVES[0]!));
    expect(fake.upstream('node0:7000').socket.take()).not.toBe('');
    expect(fake.core.router.laneOf(0, 2)?.inFlight).toBe(0);
  });
});
