import { describe, expect, it } from 'vitest';
import type { Recorded, TraceSettings } from '../../../../../src/proxy/engine/trace/settings.js';
import { errorClass } from '../../../../../src/proxy/engine/trace/span.js';
import { readSpans } from '../../../../support/collector.js';
import { FakeCore } from '../support/fake-core.js';

const encode = (...args: string[]) =>
  `*${args.length}\r\n${args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`).join('')}`;

const LOG = { every: 1, format: 'json', includeKeys: false, errorsOnly: false, slowerThanMs: -1 } as const;
const ALL: TraceSettings = { accessLog: LOG, tracing: { every: 1 } };

class RecordingCore extends FakeCore {
  readonly batches: Recorded[] = [];
  recorded(batch: Recorded): void {
    this.batches.push(batch);
  }
}

function start(trace: TraceSettings | null = ALL, nodes = 1, limits = {}) {
  const fake = new RecordingCore(nodes, { ...(trace === null ? {} : { trace }) }, limits);
  fake.turn();
  return {
    fake,
    client: fake.client(),
    take() {
      fake.core.recorder.tick();
      fake.core.recorder.taken();
      const batches = fake.batches.splice(0);
      const spans = batches
        .map((batch) => batch.spans.replaceAll('\n', ','))
        .filter((text) => text !== '')
        .join(',');
      const resource = '{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]}';
      return {
        entries: batches.flatMap(({ lines }) =>
          lines
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => JSON.parse(line) as Record<string, unknown>),
        ),
        spans: readSpans(`{"resourceSpans":[{"resource":${resource},"scopeSpans":[{"spans":[${spans}]}]}]}`),
        dropped: batches.reduce((sum, { droppedLines }) => sum + droppedLines, 0),
      };
    },
  };
}

describe('a recorded command', () => {
  it('has its own times and sizes, also when its reply waits for an earlier one', () => {
    const { fake, client, take } = start(ALL, 2);
    const [near, far] = ['a', 'b'].map((key) =>
      fake.core.router.keySpace.slotOf(Buffer.from(key), 0, 1) < 8192 ? 0 : 1,
    );
    expect(near).not.toBe(far);
    client.say(encode('GET', 'a') + encode('GET', 'b'));
    fake.turn();
    fake.nowMs += 5;
    fake.answer(`node${far}:7000`, '$3\r\nxyz\r\n');
    fake.turn();
    fake.nowMs += 20;
    fake.answer(`node${near}:7000`, '$-1\r\n');
    const { entries, spans } = take();
    expect(entries).toMatchObject([
      { command: 'get', duration_us: 25_000, upstream_us: 25_000, response_bytes: 5, upstream: `node${near}:7000` },
      { command: 'get', duration_us: 25_000, upstream_us: 5000, response_bytes: 9, upstream: `node${far}:7000` },
    ]);
    expect(entries[0]).toMatchObject({ request_bytes: encode('GET', 'a').length, result: 'ok' });
    expect(spans).toHaveLength(4);
  });

  it('whose client leaves says so, and its request carries nothing on', () => {
    const { fake, client, take } = start();
    client.say(encode('GET', 'a'));
    fake.core.left(client.client);
    expect(take().entries).toMatchObject([{ result: 'client_gone' }]);
    fake.answer('node0:7000', '$-1\r\n');
    // The same request serves another client, which is not recorded any more.
    fake.core.settings = { ...fake.core.settings, trace: { accessLog: null, tracing: null } };
    for (const follow of fake.core.followers) follow();
    const other = fake.client();
    for (let i = 0; i < 10; i++) {
      other.say(encode('GET', 'a'));
      fake.answer('node0:7000', '$-1\r\n');
    }
    expect(take()).toMatchObject({ entries: [], spans: [] });
  });

  it('that is refused before it is served is in it, with no word of what was said', () => {
    const { client, take } = start({ accessLog: LOG, tracing: { every: 1 } });
    client.say(encode('NOSUCH', 'secret') + encode('GET') + encode('CONFIG', 'NOSUCH') + encode('PING'));
    const { entries, spans } = take();
    expect(entries.map(({ command, result, error }) => [command, result, error])).toEqual([
      ['unknown', 'error', 'ERR'],
      ['get', 'error', 'ERR'],
      ['config', 'error', 'ERR'],
      ['ping', 'ok', undefined],
    ]);
    expect(
      JSON.stringify(entries) + JSON.stringify(spans, (_, v) => (typeof v === 'bigint' ? String(v) : v)),
    ).not.toContain('secret');
  });

  it('has the errors of the proxy by name', () => {
    const { fake, client, take } = start();
    client.say(encode('GET', 'a'));
    fake.pass(6000);
    expect(client.socket.take()).toBe('-upstream failure\r\n');
    const { entries, spans } = take();
    expect(entries).toMatchObject([{ result: 'error', error: 'upstream_failure' }]);
    expect(
      spans.map(({ attributes, status }) => [attributes['error.type'], attributes['db.response.status_code'], status]),
    ).toEqual([
      ['upstream_failure', undefined, 2],
      ['upstream_failure', undefined, 2],
    ]);
  });

  it('is dropped and counted when nobody takes what there is; memory is bounded', () => {
    const { fake, client, take } = start();
    const pings = encode('PING').repeat(1000);
    for (let i = 0; i < 40; i++) client.say(pings);
    expect(fake.batches).toEqual([]);
    const { entries, dropped } = take();
    expect(entries).toHaveLength(16_384);
    expect(dropped).toBe(40_000 - 16_384);
    client.say(pings);
    expect(take()).toMatchObject({ dropped: 0, entries: { length: 1000 } });
  });
});

describe('what a node says of an error', () => {
  it('is not told beyond its code: it may show what a client has said', () => {
    const { fake, client, take } = start();
    client.say(encode('EVAL', 'nonsense', '0'));
    fake.answer('node0:7000', '-ERR Error compiling script near secret\r\n');
    expect(client.socket.take()).toContain('secret');
    const { batches } = fake;
    fake.core.recorder.tick();
    expect(JSON.stringify(batches)).toContain('eval');
    expect(JSON.stringify(batches)).not.toContain('secret');
    expect(take().entries).toMatchObject([{ command: 'eval', error: 'ERR' }]);
  });
});

describe('without settings', () => {
  it('nobody is sampled, and a reload changes that', () => {
    const { fake, client, take } = start(null);
    client.say(encode('PING').repeat(100));
    expect(take().entries).toEqual([]);
    fake.core.settings = { ...fake.core.settings, trace: { ...ALL, tracing: null } };
    for (const follow of fake.core.followers) follow();
    client.say(encode('PING').repeat(100));
    expect(take()).toMatchObject({ entries: { length: 100 }, spans: [] });
  });
});

describe('the class of an error', () => {
  it.each([
    ['WRONGTYPE Operation against a key', 'WRONGTYPE'],
    ['ERR syntax error', 'ERR'],
    ['upstream failure', 'upstream_failure'],
    ['Fault Injected: Error', 'fault_injected_error'],
    ['finished with 2 error(s)', 'finished_with_error_s'],
  ])('of %s is %s', (text, expected) => {
    expect(errorClass(text)).toBe(expected);
  });
});
