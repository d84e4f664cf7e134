import { describe, expect, it } from 'vitest';
import { ReplyError } from '../../../../src/proxy/engine/resp/decode.js';
import { equalFacts, readFacts } from '../../../../src/proxy/server/discovery/cluster-facts.js';

const INFO = '# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\n';
const lua = ['name', 'lua', 'ver', 1, 'path', 'lua', 'args', ['a', 'b']];

describe('what a node says of itself', () => {
  it('is read from INFO and HELLO', () => {
    const hello = [
      'server',
      'valkey',
      'version',
      '9.1.2',
      'proto',
      2,
      'id',
      7,
      'modules',
      [lua, ['name', 'x', 'ver', 2]],
    ];
    expect(readFacts(INFO, hello)).toEqual({
      redisVersion: '7.2.4',
      server: 'valkey',
      version: '9.1.2',
      modules: [
        { name: 'lua', version: 1, path: 'lua', args: ['a', 'b'] },
        { name: 'x', version: 2, path: null, args: null },
      ],
    });
  });

  it('is a Redis without modules where HELLO is unknown or says something else', () => {
    const facts = { redisVersion: '7.2.4', server: 'redis', version: '7.2.4', modules: [] };
    for (const hello of [new ReplyError('ERR unknown command'), null, [], ['modules', 'none'], ['modules', [3, []]]]) {
      expect(readFacts(INFO, hello)).toEqual(facts);
    }
  });

  it('is nothing without a version', () => {
    expect(readFacts(new ReplyError('NOPERM'), ['server', 'redis'])).toBeNull();
    expect(readFacts('# Server\r\n', [])).toBeNull();
  });

  it('is compared as a whole', () => {
    const facts = readFacts(INFO, ['modules', [lua]]);
    expect(facts !== null && equalFacts(facts, readFacts(INFO, ['modules', [lua]]))).toBe(true);
    expect(facts !== null && equalFacts(facts, readFacts(INFO, []))).toBe(false);
    expect(facts !== null && equalFacts(facts, null)).toBe(false);
  });
});
