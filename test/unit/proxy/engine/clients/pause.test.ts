import { describe, expect, it } from 'vitest';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const command = (...args: string[]) => encodeCommandText(args).toString('latin1');

describe('a pause that lasts for years', () => {
  it('keeps nobody who has left, and lets the others go on when it is ended', () => {
    const fake = new FakeCore(1);
    fake.turn();
    const operator = fake.client();
    expect(operator.say(command('CLIENT', 'PAUSE', '99999999999'))).toBe('+OK\r\n');
    const stays = fake.client();
    expect(stays.say(command('PING'))).toBe('');
    for (let i = 0; i < 100; i++) {
      const { say, client } = fake.client();
      say(command('PING'));
      fake.core.left(client);
    }
    const kept = Object.values(fake.core.pause).filter((value) => value instanceof Set || value instanceof Map);
    expect(kept.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(1);
    expect(operator.say(command('CLIENT', 'UNPAUSE'))).toBe('+OK\r\n');
    expect(stays.socket.take()).toBe('+PONG\r\n');
  });
});
