import { describe, expect, it } from 'vitest';
import { partitionOf } from '../../../../../src/proxy/engine/broadcast/shards.js';
import { FakeCore } from '../support/fake-core.js';

const command = (...args: string[]) =>
  `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`;

function start(nodes = 3, settings: Record<string, unknown> = {}, limits: Record<string, number> = {}) {
  const fake = new FakeCore(nodes, settings, limits);
  fake.turn();
  const client = fake.client();
  const at = (node: number) => `node${node}:7000`;
  return {
    fake,
    client,
    say: (...args: string[]) => client.say(command(...args)),
    sent: (node: number) => fake.upstream(at(node)).socket.take(),
    answer: (node: number, text: string) => {
      fake.answer(at(node), text);
      return client.socket.take();
    },
    lose: (node: number) => {
      const { socket, events } = fake.upstream(at(node));
      socket.terminate();
      events.closed('gone');
      fake.turn();
      return client.socket.take();
    },
  };
}

describe('a command for all masters', () => {
  it('goes to each of them as it came, and is answered when all have', () => {
    const { say, sent, answer } = start();
    expect(say('DBSIZE')).toBe('');
    for (let node = 0; node < 3; node++) expect(sent(node)).toBe(command('DBSIZE'));
    expect(answer(2, ':3\r\n')).toBe('');
    expect(answer(0, ':1\r\n')).toBe('');
    expect(answer(1, ':2\r\n')).toBe(':6\r\n');
  });

  it('does not change by what the proxy and the replicas log in, unless that is allowed', () => {
    const refused = start();
    const reply = refused.say('CONFIG', 'SET', 'maxmemory', '1mb', 'RequirePass', 'secret');
    expect(reply).toMatch(/^-ERR unsupported command 'config\|set': it would change requirepass/);
    expect(reply).not.toContain('secret');
    expect(refused.sent(0)).toBe('');
    expect(refused.say('CONFIG', 'SET', 'maxmemory', 'requirepass')).toBe('');
    expect(refused.sent(0)).toBe(command('CONFIG', 'SET', 'maxmemory', 'requirepass'));
    const allowed = start(3, { adminCommands: ['config|set'] });
    expect(allowed.say('CONFIG', 'SET', 'requirepass', 'secret')).toBe('');
    expect(allowed.sent(0)).toBe(command('CONFIG', 'SET', 'requirepass', 'secret'));
  });

  it('keeps the order of the shards in its reply, whoever answers first', () => {
    const { say, answer } = start();
    say('KEYS', '*');
    answer(2, '*1\r\n$1\r\nc\r\n');
    answer(1, '*1\r\n$1\r\nb\r\n');
    expect(answer(0, '*1\r\n$1\r\na\r\n')).toBe('*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n');
  });

  it('follows a failover when it changes nothing or was not sent, and is an error when it may have been executed', () => {
    const { fake, say, answer, sent, lose } = start();
    say('DBSIZE');
    for (let node = 0; node < 3; node++) sent(node);
    lose(1);
    fake.pass(100);
    expect(sent(1)).toBe(command('DBSIZE'));
    for (const node of [0, 1]) answer(node, ':1\r\n');
    expect(answer(2, ':1\r\n')).toBe(':3\r\n');

    say('FLUSHALL');
    for (let node = 0; node < 3; node++) sent(node);
    lose(1);
    answer(0, '+OK\r\n');
    expect(answer(2, '+OK\r\n')).toBe('-finished with 1 error(s)\r\n');
  });

  it('keeps its place in a pipeline', () => {
    const { client, answer } = start();
    expect(client.say(command('DBSIZE') + command('PING'))).toBe('');
    for (const node of [0, 1]) answer(node, ':1\r\n');
    expect(answer(2, ':1\r\n')).toBe(':3\r\n+PONG\r\n');
  });

  it('waits for a topology as a command for a key does', () => {
    const { fake, client, say, sent, answer } = start(0);
    expect(client.say(command('DBSIZE') + command('PING'))).toBe('');
    expect(fake.refreshes).toContain('unassigned_slot');
    const { router } = fake.core;
    router.applyNodes([{ index: 0, host: 'node0', port: 7000 }]);
    router.slotMap.replace(new Uint16Array(16384));
    router.mapChanged();
    fake.turn();
    expect(sent(0)).toBe(command('PING'));
    answer(0, '+PONG\r\n');
    expect(sent(0)).toBe(command('DBSIZE'));
    expect(answer(0, ':5\r\n')).toBe(':5\r\n+PONG\r\n');

    const other = start(0, { opTimeoutMs: 400 });
    expect(other.say('FLUSHALL')).toBe('');
    other.fake.pass(700);
    expect(other.client.socket.take()).toBe('-no upstream host\r\n');
    expect(say('PING')).toBe('+PONG\r\n');
  });

  it('is over when the client leaves, and gives back what it held', () => {
    const { fake, client, say, answer } = start(3, {}, { heldRepliesBytesMax: 1000 });
    say('KEYS', '*');
    answer(0, `*1\r\n$900\r\n${'x'.repeat(900)}\r\n`);
    fake.core.left(client.client);
    answer(1, '*0\r\n');
    answer(2, '*0\r\n');
    const next = fake.client();
    next.say(command('KEYS', '*'));
    for (const node of [0, 1]) fake.answer(`node${node}:7000`, '*0\r\n');
    fake.answer('node2:7000', `*1\r\n$900\r\n${'y'.repeat(900)}\r\n`);
    expect(next.socket.take()).toBe(`*1\r\n$900\r\n${'y'.repeat(900)}\r\n`);
  });

  it('lets a client go whose replies would take more than is allowed', () => {
    const { fake, client, say, answer } = start(3, {}, { heldRepliesBytesMax: 1000 });
    say('KEYS', '*');
    answer(0, `*1\r\n$900\r\n${'x'.repeat(900)}\r\n`);
    answer(1, `*1\r\n$900\r\n${'x'.repeat(900)}\r\n`);
    expect(client.socket.terminated).toBe(true);
    answer(2, '*0\r\n');
    expect(fake.counter('downstream_cx_active')).toBe(0);
  });
});

describe('a command for all nodes', () => {
  it('goes to the replicas too', () => {
    const { fake, say, answer } = start(2);
    fake.core.router.applyNodes([
      { index: 0, host: 'node0', port: 7000 },
      { index: 1, host: 'node1', port: 7000 },
      { index: 2, host: 'node2', port: 7000, masterIndex: 0 },
    ]);
    fake.turn();
    say('CONFIG', 'SET', 'a', 'b');
    fake.turn();
    for (const node of [0, 1]) expect(answer(node, '+OK\r\n')).toBe('');
    expect(fake.upstream('node2:7000').socket.take()).toBe(command('CONFIG', 'SET', 'a', 'b'));
    expect(answer(2, '+OK\r\n')).toBe('+OK\r\n');
  });

  it('is not sent to another node when its own is lost', () => {
    const { fake, say, answer, sent, lose } = start(2);
    say('SLOWLOG', 'LEN');
    for (const node of [0, 1]) sent(node);
    lose(0);
    expect(answer(1, ':4\r\n')).toBe('-finished with 1 error(s)\r\n');
    fake.pass(100);
    expect(sent(0)).toBe('');
    expect(sent(1)).toBe('');
  });
});

describe('a command for all nodes whose connection is not made yet', () => {
  it('does not go to another node when the topology changes meanwhile', () => {
    const { fake, client, say, answer, sent } = start(2);
    const nodes = [0, 1].map((index) => ({ index, host: `node${index}`, port: 7000 }));
    fake.core.router.applyNodes([...nodes, { index: 2, host: 'node2', port: 7000, masterIndex: 0 }]);
    fake.turn();
    fake.core.beginEvent();
    client.client.received(Buffer.from(command('CONFIG', 'RESETSTAT')));
    fake.core.router.slotMap.assign(3, 1);
    fake.core.router.mapChanged();
    fake.turn();
    for (const node of [0, 1]) expect(sent(node)).toBe(command('CONFIG', 'RESETSTAT'));
    answer(0, '+OK\r\n');
    expect(answer(1, '+OK\r\n')).toBe('-finished with 1 error(s)\r\n');
    expect(say('PING')).toBe('+PONG\r\n');
  });
});

describe('RANDOMKEY', () => {
  it('asks one shard after another until one has a key', () => {
    const { fake, client, say } = start();
    say('RANDOMKEY');
    const asked = () => [0, 1, 2].find((node) => fake.upstream(`node${node}:7000`).socket.take() !== '') as number;
    const first = asked();
    fake.answer(`node${first}:7000`, '$-1\r\n');
    const second = asked();
    expect(second).not.toBe(first);
    fake.answer(`node${second}:7000`, '$1\r\nk\r\n');
    expect(client.socket.take()).toBe('$1\r\nk\r\n');
    say('RANDOMKEY');
    for (let i = 0; i < 3; i++) fake.answer(`node${asked()}:7000`, '$-1\r\n');
    expect(client.socket.take()).toBe('$-1\r\n');
    say('RANDOMKEY');
    for (let i = 0; i < 3; i++) fake.answer(`node${asked()}:7000`, i === 1 ? '-ERR no\r\n' : '$-1\r\n');
    expect(client.socket.take()).toBe('-ERR no\r\n');
  });
});

describe('INFO', () => {
  it('leaves a shard out whose connection is lost, and answers without any', () => {
    const { say, answer, lose } = start(2);
    lose(0);
    say('INFO', 'server');
    const text = answer(1, '$39\r\n# Server\r\nredis_version:7.9\r\nos:Linux\r\n\r\n');
    expect(text).toContain('redis_version:7.9\r\n');
    expect(text).toContain('redisforge_shards:2\r\nredisforge_shards_not_answering:1\r\n');
    lose(1);
    expect(say('INFO', 'server')).toContain('redisforge_shards_not_answering:2\r\n');
    expect(start(0).say('INFO')).toContain('redis_mode:standalone\r\n');
  });
});

describe('administration', () => {
  it('is refused unless it is allowed by name or by container', () => {
    const { say, sent, answer } = start(1, { adminCommands: ['cluster|info', 'debug', 'module', 'psync', 'acl|list'] });
    expect(say('CLUSTER', 'NODES')).toMatch(/^-ERR unsupported command 'cluster'/);
    expect(say('PSYNC', '?', '-1')).toMatch(/^-ERR unsupported command 'psync'/);
    expect(say('ACL', 'SETUSER', 'x')).toMatch(/^-ERR unsupported command 'acl\|setuser'/);
    for (const words of [
      ['cluster', 'INFO'],
      ['DEBUG', 'sleep', '0'],
      ['MODULE', 'LIST'],
      ['ACL', 'LIST'],
    ]) {
      expect(say(...words)).toBe('');
      expect(sent(0)).toBe(command(...words));
      expect(answer(0, '+yes\r\n')).toBe('+yes\r\n');
    }
    expect(say('MODULE', 'NONSENSE')).toBe("-ERR unknown subcommand 'NONSENSE'. Try MODULE HELP.\r\n");
    expect(say('MODULE', 'LOAD')).toBe("-ERR wrong number of arguments for 'module|load' command\r\n");
  });

  it('routes by key, or by slot, what has one', () => {
    const { say, sent } = start(3, { adminCommands: ['restore-asking', 'cluster', 'migrate'] });
    say('RESTORE-ASKING', 'foo', '0', 'x');
    // foo is in slot 12182.
    expect(sent(2)).toContain('RESTORE-ASKING');
    say('MIGRATE', '10.0.0.1', '6379', 'foo', '0', '1000');
    say('MIGRATE', '10.0.0.1', '6379', '', '0', '1000', 'COPY', 'KEYS', '{foo}1', '{foo}2');
    expect(sent(2).match(/MIGRATE/g)).toHaveLength(2);
    for (let i = 0; i < 3; i++) say('CLUSTER', 'COUNTKEYSINSLOT', '6000');
    expect(sent(1)).toBe(command('CLUSTER', 'COUNTKEYSINSLOT', '6000').repeat(3));
  });
});

describe('the partition of slots among shards', () => {
  it('is the same whoever serves them, and another when one slot moves', () => {
    const { fake } = start(3);
    const { router } = fake.core;
    const { hash, shards } = partitionOf(router);
    expect(shards.map(({ slot, nodeIndex }) => [slot, nodeIndex])).toEqual([
      [0, 0],
      [5462, 1],
      [10923, 2],
    ]);
    for (let slot = 0; slot < 5462; slot++) router.slotMap.assign(slot, 7);
    expect(partitionOf(router).hash).toBe(hash);
    expect(partitionOf(router).shards[0]).toEqual({ slot: 0, nodeIndex: 7 });
    router.slotMap.assign(0, 1);
    const moved = partitionOf(router);
    expect(moved.hash).not.toBe(hash);
    expect(moved.shards.map(({ slot }) => slot)).toEqual([0, 1, 10923]);
    expect(partitionOf(router)).toBe(moved);
    router.slotMap.assign(0, 7);
    expect(partitionOf(router).hash).toBe(hash);
  });
});
