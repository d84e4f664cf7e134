import { describe, expect, it } from 'vitest';
import { SLOT_COUNT } from '../../../../../src/proxy/engine/hash/crc16.js';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const command = (...args: string[]) => encodeCommandText(args).toString('latin1');
/** Of the second of two nodes. */
const KEY = 'foo';
const OLD = 'node1:7000';
const NEW = 'node0:7000';

/** A read and a write wait for the old master, which hangs; then another one has all slots. */
function deposed(silentMs: number) {
  const fake = new FakeCore(2);
  fake.turn();
  const [reader, writer] = [fake.client(), fake.client()];
  reader.say(command('GET', KEY));
  writer.say(command('SET', KEY, 'x'));
  const before = fake.upstream(OLD);
  before.socket.take();
  fake.pass(silentMs);
  fake.upstream(NEW).socket.take();
  fake.core.router.slotMap.replace(new Uint16Array(SLOT_COUNT).fill(0));
  fake.core.router.mapChanged();
  return { fake, reader, writer, before };
}

describe('a master that hangs and has lost its slots', () => {
  it('is waited for no longer: reads go to the new one, and of writes the outcome is not known', () => {
    const { fake, reader, writer, before } = deposed(2000);
    fake.pass(200);
    expect(before.socket.terminated).toBe(true);
    expect(fake.upstream(NEW).socket.take()).toContain(command('GET', KEY));
    expect(writer.socket.take()).toBe('-upstream failure\r\n');
    fake.answer(NEW, '$1\r\ny\r\n');
    expect(reader.socket.take()).toBe('$1\r\ny\r\n');
  });

  it('is waited for while it may be only slow, as one whose slots were taken over as planned', () => {
    const { fake, reader, writer, before } = deposed(200);
    fake.pass(1000);
    expect(before.socket.terminated).toBe(false);
    before.events.received(Buffer.from('$1\r\ny\r\n+OK\r\n'));
    fake.turn();
    expect([reader.socket.take(), writer.socket.take()]).toEqual(['$1\r\ny\r\n', '+OK\r\n']);
    fake.pass(3000);
    expect(before.socket.terminated).toBe(false);
  });

  it('and one that hangs and has its slots is waited for as long as ever; the others are asked who has them', () => {
    const fake = new FakeCore(2);
    fake.turn();
    const { say } = fake.client();
    say(command('GET', KEY));
    fake.core.router.mapChanged();
    fake.pass(400);
    expect(fake.refreshes).not.toContain('silent');
    fake.pass(300);
    expect(fake.refreshes).toContain('silent');
    fake.pass(3000);
    expect(fake.upstream(OLD).socket.terminated).toBe(false);
  });
});
