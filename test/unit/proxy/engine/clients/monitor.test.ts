import { describe, expect, it } from 'vitest';
import { monitorLine } from '../../../../../src/proxy/engine/clients/monitor-line.js';
import { DEFAULT_LIMITS, frameRequest, RequestFrame } from '../../../../../src/proxy/engine/resp/request-framer.js';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const command = (...args: string[]) => encodeCommandText(args).toString('latin1');

function line(...args: string[]): string {
  const bytes = encodeCommandText(args);
  const frame = new RequestFrame();
  frameRequest(bytes, 0, bytes.length, frame, DEFAULT_LIMITS);
  return monitorLine(1_700_000_000_123.456, '192.0.2.1:5', (args[0] as string).toLowerCase(), bytes, frame);
}

describe('a line of MONITOR', () => {
  it("has Redis's form and escapes", () => {
    expect(line('SET', 'k', 'a"\\\r\n\t\x07\b\0\xff~')).toBe(
      '+1700000000.123456 [0 192.0.2.1:5] "SET" "k" "a\\"\\\\\\r\\n\\t\\a\\b\\x00\\xff~"\r\n',
    );
  });

  it('does not show secrets', () => {
    expect(line('AUTH', 'user', 'pw')).toContain('"AUTH" "(redacted)" "(redacted)"\r\n');
    expect(line('HELLO', '3', 'AUTH', 'u', 'pw', 'SETNAME', 'n')).toContain(
      '"HELLO" "3" "AUTH" "(redacted)" "(redacted)" "SETNAME" "n"',
    );
    expect(line('MIGRATE', 'h', '1', 'k', '0', '5', 'AUTH', 'pw')).toContain('"5" "AUTH" "(redacted)"\r\n');
    expect(line('MIGRATE', 'h', '1', 'k', '0', '5', 'COPY', 'AUTH2', 'u', 'pw', 'KEYS', 'a')).toContain(
      '"AUTH2" "(redacted)" "(redacted)" "KEYS" "a"',
    );
    // Words that look like the option, and options that are there twice.
    for (const words of [
      ['HELLO', '3', 'SETNAME', 'auth', 'AUTH', 'u', 'pw'],
      ['HELLO', '3', 'AUTH', 'u', 'x', 'AUTH', 'u', 'pw'],
      ['MIGRATE', 'h', '1', '', '0', '5', 'AUTH', 'x', 'AUTH2', 'u', 'pw', 'KEYS', 'a'],
      ['MIGRATE', 'h', '1', '', '0', '5', 'AUTH', 'auth2', 'AUTH', 'pw', 'KEYS', 'a'],
    ])
      expect(line(...words)).not.toContain('pw');
  });

  it('cuts what nobody would read', () => {
    const text = line('SET', 'k', 'x'.repeat(100_000));
    expect(text.length).toBeLessThan(5000);
    expect(text).toContain('... (95904 more bytes)"');
    expect(line('DEL', ...Array.from({ length: 5000 }, (_, i) => `k${i}`))).toContain('"... (3977 more arguments)"');
  });
});

/** Two workers; a client of the first one monitors. */
function monitored(limits = {}) {
  const first = new FakeCore(1, { worker: 0, workers: 2 }, limits);
  const second = new FakeCore(1, { worker: 1, workers: 2 }, limits);
  first.others.push(second);
  second.others.push(first);
  for (const each of [first, second]) each.turn();
  const watcher = first.client();
  expect(watcher.say(command('MONITOR'))).toBe('+OK\r\n');
  return { first, second, watcher };
}

const commands = (text: string) => [...text.matchAll(/\] (.*)\r\n/g)].map((match) => match[1]);

describe('MONITOR', () => {
  it('shows what clients of all workers send, once each', () => {
    const { first, second, watcher } = monitored();
    first.client().say(command('GET', 'a') + command('PING'));
    expect(commands(watcher.socket.take())).toEqual(['"GET" "a"', '"PING"']);
    second.client().say(command('MGET', 'a', 'b'));
    second.turn();
    first.turn();
    expect(commands(watcher.socket.take())).toEqual(['"MGET" "a" "b"']);
  });

  it('does not show what administers, and shows nothing to one that has left', () => {
    const { first, second, watcher } = monitored();
    first.client().say(command('CLIENT', 'LIST') + command('MONITOR') + command('CLIENT', 'ID') + command('NOSUCH'));
    expect(commands(watcher.socket.take())).toEqual(['"CLIENT" "ID"']);
    for (const client of [...first.core.clients]) first.core.left(client);
    first.turn();
    second.turn();
    expect([first.core.attention, second.core.attention]).toEqual([0, 0]);
  });

  it('ends with RESET', () => {
    const { first, second, watcher } = monitored();
    expect(commands(watcher.say(command('RESET')))).toEqual([]);
    first.turn();
    expect([first.core.attention, second.core.attention]).toEqual([0, 0]);
    first.client().say(command('PING'));
    expect(watcher.socket.take()).toBe('');
  });

  it('shows a command that has to wait once', () => {
    const { first, watcher } = monitored();
    const { say } = first.client();
    say(command('GET', 'a') + command('HELLO', '3'));
    first.answer('node0:7000', '$-1\r\n');
    expect(commands(watcher.socket.take())).toEqual(['"GET" "a"', '"HELLO" "3"']);
  });

  it('lets one go that does not take what it is shown', () => {
    const { first, watcher } = monitored({ monitorOutputBytesMax: 10_000 });
    watcher.socket.room = 0;
    const { say } = first.client();
    for (let i = 0; i < 300; i++) say(command('PING', 'a'));
    expect(watcher.socket.terminated).toBe(true);
    expect(first.counter('downstream_cx_monitor_close')).toBe(1);
    first.turn();
    expect(first.core.attention).toBe(0);
  });

  it('drops lines for other workers that do not take them, and counts them', () => {
    const { second } = monitored({ monitorOutputBytesMax: 10_000 });
    const { say } = second.client();
    say(command('PING', 'x').repeat(1000));
    expect(second.counter('downstream_monitor_dropped')).toBeGreaterThan(0);
  });
});
