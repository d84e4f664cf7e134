import { describe, expect, it, vi } from 'vitest';
import { SlotMap } from '../../../../../src/proxy/engine/core/slot-map.js';
import { SLOT_COUNT } from '../../../../../src/proxy/engine/hash/crc16.js';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const command = (...args: string[]) => encodeCommandText(args).toString('latin1');
/** Of `foo`: at the second of two nodes. */
const SLOT = 12_182;

describe('a slot map that another thread changes', () => {
  it('while a command is routed does not send it past an earlier one of its client', () => {
    const fake = new FakeCore(2);
    fake.turn();
    const other = new SlotMap(fake.slotMemory);
    const { say, socket } = fake.client();
    say(command('SET', 'foo', 'x'));
    const { keySpace } = fake.core.router;
    const slotOf = keySpace.slotOf.bind(keySpace);
    // This thread loses its processor after it has looked whether the map is still the same.
    const spy = vi.spyOn(keySpace, 'slotOf').mockImplementation((...args) => {
      other.assign(SLOT, 0);
      return slotOf(...args);
    });
    say(command('GET', 'foo'));
    expect(spy).toHaveBeenCalledTimes(1);
    spy.mockRestore();
    expect(fake.upstream('node1:7000').socket.take()).toBe(command('SET', 'foo', 'x') + command('GET', 'foo'));
    say(command('INCR', 'foo'));
    // By the new map, but not before all that went by the old one is answered.
    expect(fake.upstream('node0:7000').socket.take()).toBe('');
    fake.answer('node1:7000', '+OK\r\n$1\r\nx\r\n');
    expect(socket.take()).toBe('+OK\r\n$1\r\nx\r\n');
    expect(fake.upstream('node0:7000').socket.take()).toBe(command('INCR', 'foo'));
  });

  it('is what waiting commands go by as soon as this one is told', () => {
    const fake = new FakeCore(0);
    const { say } = fake.client();
    say(command('GET', 'foo'));
    // In one turn: the clock and the map were looked at before the other thread has changed it.
    fake.core.beginEvent();
    new SlotMap(fake.slotMemory).replace(new Uint16Array(SLOT_COUNT).fill(0));
    fake.core.router.applyNodes([{ index: 0, host: 'node0', port: 7000 }]);
    fake.turn();
    expect(fake.upstream('node0:7000').socket.take()).toContain(command('GET', 'foo'));
  });
});
