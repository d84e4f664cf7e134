import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isHandshake, nodeAddress } from '../../../src/cluster/cluster-node.js';
import { parseClusterInfo, parseInfo, parseServerVersion } from '../../../src/cluster/parse-info.js';
import { parseClusterNodes } from '../../../src/cluster/parse-nodes.js';
import { parseClusterShards, parseClusterSlots } from '../../../src/cluster/parse-shards.js';
import { countSlots, formatSlots, splitEvenly } from '../../../src/cluster/slots.js';
import { assignZones, Topology } from '../../../src/cluster/topology.js';
import { ForgeError } from '../../../src/errors.js';

const id = (number: number) => number.toString(16).padStart(40, '0');

const REPLY = [
  `${id(1)} 10.0.0.1:6379@16379 myself,master - 0 0 1 connected 0-5460 [5461-<-${id(2)}] [7->-${id(3)}]`,
  `${id(2)} 10.0.0.2:6379@16379,redis-2.example master - 0 1700000000000 2 connected 5461-10922`,
  `${id(3)} 2001:db8::3:6379@16379,,shard-id=${id(99)} master,fail? - 1 2 3 disconnected 10923-16382 16383`,
  `${id(4)} 10.0.0.4:6379@16379 slave ${id(1)} 0 1 1 connected`,
  `${id(5)} 10.0.0.5:6379@16379 slave,noaddr ${id(77)} 0 1 1 disconnected`,
  `${id(6)} 10.0.0.6:6379@16379 handshake - 0 0 0 disconnected`,
  `${id(7)} :0@0 master,noaddr,nofailover - 0 0 0 disconnected`,
  '',
].join('\n');

const clusterOf = (masters: number, replicas: number) =>
  splitEvenly(masters)
    .flatMap(({ start, end }, index) => [
      `${id(index + 1)} 10.0.${index >> 8}.${index & 255}:6379@16379 master - 0 0 ${index + 1} connected ${start}-${end}`,
      ...Array.from(
        { length: replicas },
        (_, replica) =>
          `${id(1_000_000 + index * replicas + replica)} 10.1.${index >> 8}.${index & 255}:${7000 + replica}@17000 slave ${id(index + 1)} 0 0 ${index + 1} connected`,
      ),
    ])
    .join('\n');

describe('the reply of CLUSTER NODES', () => {
  const nodes = parseClusterNodes(REPLY);
  const topology = new Topology(nodes);

  it('is read with host names, IPv6, unknown addresses, flags and open slots', () => {
    expect(topology.node(id(2))).toMatchObject({ ip: '10.0.0.2', hostname: 'redis-2.example', busPort: 16_379 });
    expect(topology.node(id(3))).toMatchObject({ ip: '2001:db8::3', port: 6379, linked: false });
    expect(topology.node(id(3))?.hostname).toBeUndefined();
    expect(topology.node(id(7))).toMatchObject({ ip: '', port: 0, busPort: 0 });
    expect(nodes.filter(isHandshake).map((node) => node.id)).toEqual([id(6)]);
    expect(nodeAddress(nodes[1] as never)).toBe('redis-2.example:6379');
    expect(nodeAddress(nodes[2] as never)).toBe('[2001:db8::3]:6379');
    expect(topology.openSlots).toEqual([
      { slot: 7, peerId: id(3), nodeId: id(1), direction: 'migrating' },
      { slot: 5461, peerId: id(2), nodeId: id(1), direction: 'importing' },
    ]);
  });

  it('becomes shards in the order of their slots, masters without slots last', () => {
    expect(topology.myself?.id).toBe(id(1));
    expect(topology.shards.map(({ master }) => master.id)).toEqual([id(1), id(2), id(3), id(7)]);
    expect(topology.shardOf(id(4))?.master.id).toBe(id(1));
    expect(topology.orphans.map((node) => node.id)).toEqual([id(5)]);
    expect(topology.handshakes).toHaveLength(1);
    expect(topology.uncovered).toEqual([]);
    expect(topology.ownerOf(5461)?.id).toBe(id(2));
    expect(topology.ownerOf(16_383)?.id).toBe(id(3));
    expect(topology.ownerOf(16_384)).toBeUndefined();
    expect(topology.find('redis-2.example', 6379)?.id).toBe(id(2));
  });

  it('shows holes and masters that claim the same slot', () => {
    const text = REPLY.replace('5461-10922', '5400-10900');
    const broken = new Topology(parseClusterNodes(text));
    expect(formatSlots(broken.uncovered)).toBe('10901-10922');
    expect(broken.conflicts).toHaveLength(61);
    expect(broken.conflicts[0]).toEqual({ slot: 5400, nodeIds: [id(1), id(2)] });
    expect(topology.conflicts).toEqual([]);
  });

  it('has a signature of nodes, roles, masters and slots, and of nothing else', () => {
    const signature = (text: string) => new Topology(parseClusterNodes(text)).signature;
    const base = signature(REPLY);
    expect(signature(REPLY.split('\n').reverse().join('\n'))).toBe(base);
    expect(signature(REPLY.replace(' 2 connected', ' 9 disconnected'))).toBe(base);
    expect(signature(REPLY.replace('5461-10922', '5461-10921'))).not.toBe(base);
    expect(signature(REPLY.replace(`slave ${id(1)}`, `slave ${id(2)}`))).not.toBe(base);
  });

  it.each([
    ['', 'empty'],
    ['hello', 'line 1'],
    ['HTTP/1.1 400 Bad Request\r\nServer: x', 'line 1'],
    [REPLY.replace('0-5460', '0-16384'), 'slot range'],
    [REPLY.replace('0-5460', '9-3'), 'slot range'],
    [REPLY.replace(`[7->-${id(3)}]`, `[77777->-${id(3)}]`), 'open slot'],
    [REPLY.replace('10.0.0.2:6379', '10.0.0.2:99999'), 'port'],
    [REPLY.replace('10.0.0.2:6379', '\u001b[31m:6379'), 'address'],
    [REPLY.replace(`\n${id(2)}`, `\n${id(1)}`), 'twice'],
    [REPLY.replace(`\n${id(2)}`, `\n${'x'.repeat(40)}`), 'node id'],
    [REPLY.replace('connected 5461', 'maybe 5461'), 'link state'],
    [REPLY.replace('master - 0 1700000000000 2', 'master - 0 1700000000000 -2'), 'epoch'],
  ])('is refused when it is something else (%#)', (text, reason) => {
    expect(() => parseClusterNodes(text, 'h:1')).toThrow(reason);
  });

  it('is read or refused with a ForgeError, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), fc.nat(REPLY.length), fc.nat(40), (junk, at, cut) => {
        const text = REPLY.slice(0, at) + junk + REPLY.slice(at + cut);
        try {
          new Topology(parseClusterNodes(text)).conflicts.length;
        } catch (error) {
          expect(error).toBeInstanceOf(ForgeError);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('is read, checked and signed in well under a second for 1,000 masters with 2 replicas each', () => {
    const text = clusterOf(1_000, 2);
    // Of the processor: others may work on this machine at the same time.
    const start = process.cpuUsage();
    const large = new Topology(parseClusterNodes(text));
    expect(large.shards).toHaveLength(1_000);
    expect(large.shards.every(({ replicas }) => replicas.length === 2)).toBe(true);
    expect(large.uncovered).toEqual([]);
    expect(large.conflicts).toEqual([]);
    expect(large.signature).toHaveLength(64);
    for (let slot = 0; slot < 16_384; slot++) large.ownerOf(slot);
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1_000).toBeLessThan(500);
  });

  it('takes zones from whoever knows them', () => {
    const zoned = assignZones(nodes, (node) => (node.ip === '10.0.0.1' ? 'a' : undefined));
    expect(zoned.map(({ zone }) => zone)).toEqual(['a', ...Array(nodes.length - 1).fill(undefined)]);
  });
});

describe('the replies of CLUSTER SHARDS and CLUSTER SLOTS', () => {
  const member = (number: number, role: string, health = 'online') => [
    ...['id', id(number), 'port', 6379, 'ip', `10.0.0.${number}`, 'endpoint', `10.0.0.${number}`, 'hostname', ''],
    ...['role', role, 'replication-offset', 0, 'health', health],
  ];
  const shards = [
    ['slots', [0, 3, 5, 16_383], 'nodes', [member(2, 'replica'), member(3, 'master', 'fail'), member(1, 'master')]],
    ['slots', [], 'nodes', [member(4, 'master')]],
  ];
  const slots = [
    [0, 3, ['10.0.0.1', 6379, id(1), []], ['10.0.0.2', 6379, id(2), ['hostname', 'two']]],
    [5, 16_383, ['10.0.0.1', 6379, id(1)], ['10.0.0.2', 6379, id(2)]],
  ];

  it('become the same nodes as CLUSTER NODES', () => {
    const fromShards = new Topology(parseClusterShards(shards));
    expect(fromShards.node(id(1))).toMatchObject({ ip: '10.0.0.1', port: 6379, busPort: 16_379, role: 'master' });
    expect(countSlots(fromShards.node(id(1))?.slots ?? [])).toBe(16_383);
    expect(fromShards.shardOf(id(2))?.master.id).toBe(id(1));
    expect(fromShards.node(id(3))?.slots).toEqual([]);
    expect(formatSlots(fromShards.uncovered)).toBe('4');
    const fromSlots = new Topology(parseClusterSlots(slots));
    expect(formatSlots(fromSlots.node(id(1))?.slots ?? [])).toBe('0-3,5-16383');
    expect(fromSlots.node(id(2))).toMatchObject({ hostname: 'two', masterId: id(1) });
  });

  it.each([
    [null],
    ['x'],
    [[1]],
    [[['slots', [0], 'nodes', []]]],
    [[['slots', [0, 99_999], 'nodes', []]]],
    [[['slots', [], 'nodes', [member(1, 'master'), member(1, 'master')]]]],
    [[['slots', [], 'nodes', [['id', 'zz']]]]],
  ])('are refused when they are something else (%#)', (reply) => {
    expect(() => parseClusterShards(reply)).toThrow(ForgeError);
    expect(() => parseClusterSlots(reply)).toThrow(ForgeError);
  });

  it('are read or refused with a ForgeError, whatever they are', () => {
    fc.assert(
      fc.property(fc.anything(), (reply) => {
        for (const parse of [parseClusterShards, parseClusterSlots]) {
          try {
            new Topology(parse(reply));
          } catch (error) {
            expect(error).toBeInstanceOf(ForgeError);
          }
        }
      }),
    );
  });
});

describe('INFO and CLUSTER INFO', () => {
  it('are read by field, and missing numbers are 0', () => {
    const info = parseClusterInfo('cluster_state:ok\r\ncluster_slots_ok:16384\r\ncluster_known_nodes:junk\r\n');
    expect(info).toMatchObject({ state: 'ok', slotsOk: 16_384, knownNodes: 0, myEpoch: 0 });
    expect(parseClusterInfo('').state).toBe('unknown');
  });

  it('tell Redis from Valkey', () => {
    expect(parseServerVersion(parseInfo('redis_version:7.0.15'))).toMatchObject({ product: 'redis', major: 7 });
    expect(parseServerVersion(parseInfo('redis_version:7.2.4\r\nvalkey_version:9.1.0'))).toMatchObject({
      product: 'valkey',
      text: '9.1.0',
      major: 9,
      minor: 1,
    });
    expect(parseServerVersion(parseInfo('redis_version:?'))).toBeUndefined();
  });
});
