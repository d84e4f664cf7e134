import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { type RedisServer, startRedis } from '../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SERVERS } from '../../support/servers.js';
import { CONFIGURED, login, RULES, USERS } from './access-users.js';

/** Given to both in this order, by every user in turn. */
const COMMANDS: readonly string[] = [
  ...['SET app:1 v', 'SET shared:1 v', 'SET log:1 v', 'SET a:1 v', 'SET b:2 v', 'SET k v', 'SET x* v', 'SET z v'],
  ...['GET app:1', 'GET shared:1', 'GET log:1', 'GET a:1', 'GET b:2', 'GET k', 'GET x*', 'GET xy', 'GET z', 'GET'],
  ...['SET log:1 w GET', 'SET app:1 w GET', 'GETDEL a:1', 'GETEX k PERSIST', 'APPEND app:1 x', 'STRLEN log:1'],
  ...['MGET app:1 shared:1', 'MGET app:1 log:1', 'MSET app:1 v log:1 v', 'MSET app:1 v shared:1 v', 'DEL app:9 a:9'],
  ...[
    'EXISTS log:1 shared:1',
    'TOUCH app:1',
    'UNLINK b:9',
    'TYPE log:1',
    'TTL a:1',
    'EXPIRE k 100',
    'OBJECT ENCODING k',
  ],
  ...['OBJECT FREQ k', 'COPY shared:1 log:2', 'COPY log:1 shared:2', 'RENAME app:1 app:2', 'RENAME app:2 other'],
  ...[
    'HSET c1 f v',
    'HGET c1 f',
    'HGETALL app:h',
    'LPUSH app:l 3 1 2',
    'LRANGE app:l 0 -1',
    'LMOVE app:l log:l LEFT LEFT',
  ],
  ...[
    'SORT app:l',
    'SORT app:l BY nosort GET #',
    'SORT app:l BY w_*',
    'SORT app:l STORE log:s',
    'SORT app:l STORE other',
  ],
  ...[
    'SORT_RO app:l LIMIT 0 1',
    'SADD a1 x y',
    'SINTERSTORE log:i a1 app:s',
    'SUNION app:s shared:s',
    'SINTERCARD 1 app:s',
  ],
  ...['ZADD app:z 1 m', 'ZUNIONSTORE app:zz 2 app:z shared:z', 'ZUNIONSTORE log:zz 1 other', 'ZMPOP 1 app:z MIN'],
  ...[
    'BITFIELD app:b GET u8 0',
    'BITFIELD shared:b GET u8 0',
    'BITFIELD shared:b SET u8 0 1',
    'BITOP AND app:d app:b k',
  ],
  ...['GEOADD app:g 1 1 m', 'GEORADIUS app:g 1 1 1 m STORE log:g', 'GEORADIUS app:g 1 1 1 m STORE other'],
  ...['PFADD app:p a', 'PFCOUNT app:p shared:p', 'PFMERGE app:p2 app:p', 'XADD app:x 1-1 f v', 'XREAD STREAMS app:x 0'],
  ...[
    'XREAD STREAMS app:x other 0 0',
    'XLEN log:x',
    'EVAL return(1) 1 app:1',
    'EVAL return(1) 1 other',
    'EVAL return(1) 0',
  ],
  ...[
    'EVAL_RO return(1) 1 shared:1',
    'EVALSHA 0 0',
    'PUBLISH news m',
    'PUBLISH app:1 m',
    'PUBLISH other m',
    'SPUBLISH c1 m',
  ],
  ...[
    'PING',
    'ECHO x',
    'SELECT 0',
    'CLIENT GETNAME',
    'CLIENT SETNAME me',
    'DBSIZE',
    'KEYS nothing',
    'LASTSAVE x',
    'NOSUCH x',
  ],
  ...[
    'CONFIG GET maxmemory',
    'CONFIG SET maxmemory 0',
    'CONFIG NOSUCH',
    'FLUSHDB NOSUCH',
    'ACL WHOAMI',
    'COMMAND COUNT x',
  ],
  ...[
    'MULTI',
    'SET app:1 v',
    'GET other',
    'EXEC',
    'MULTI',
    'INCR app:n',
    'EXEC',
    'MULTI',
    'PING',
    'DISCARD',
    'WATCH other',
    'UNWATCH',
  ],
];

/** What a Redis 7.0 says, in the words of the newer ones. */
function newer(reply: string, user: string): string {
  return reply
    .replace(/NOPERM this user has no permissions to run/, `NOPERM User ${user} has no permissions to run`)
    .replace(
      /^-NOPERM this user has no permissions to access one of the keys used as arguments/,
      '-NOPERM No permissions to access a key',
    )
    .replace(
      /^-NOPERM this user has no permissions to access one of the channels used as arguments/,
      '-NOPERM No permissions to access a channel',
    );
}

describe.each(SERVERS)(
  `${USERS.length * COMMANDS.length} commands by ${USERS.length} users of the proxy and of %s`,
  (_, server) => {
    let upstream: RedisServer;
    let beside: RedisServer;
    let proxy: RunningProxy;

    beforeAll(async () => {
      const executable = executableOf(server);
      [upstream, beside] = await Promise.all([startRedis({ executable }), startRedis({ executable })]);
      const connection = await beside.connect();
      for (const [name, rules] of Object.entries(RULES)) {
        await connection.call('ACL', 'SETUSER', name, 'on', `>${name}-secret`, ...rules.split(/ (?![^(]*\))/));
      }
      connection.close();
      proxy = await startProxy({
        config: {
          listeners: [{ cluster: 'main', users: CONFIGURED }],
          clusters: [{ name: 'main', type: 'sharded', endpoints: [upstream.address] }],
        },
      });
    }, FETCH_TIMEOUT_MS);

    afterAll(async () => {
      await proxy?.stop();
      await Promise.all([upstream?.stop(), beside?.stop()]);
    });

    it.each(USERS)('are answered as a Redis with the same users answers them: %s', async (user) => {
      const [mine, theirs] = await Promise.all([login(proxy.port, user), login(beside.port, user)]);
      try {
        let refused = 0;
        for (const text of COMMANDS) {
          const words = text.split(' ');
          const [got, expected] = [await mine.exchange(...words), await theirs.exchange(...words)].map(String) as [
            string,
            string,
          ];
          expect(got, text).toBe(newer(expected, user));
          if (got.startsWith('-NOPERM')) refused++;
        }
        if (user !== 'everything') expect(refused).toBeGreaterThan(3);
      } finally {
        mine.close();
        theirs.close();
      }
    });

    it.each(USERS)('are refused channels as a Redis does it: %s', async (user) => {
      for (const text of [
        'SUBSCRIBE news',
        'SUBSCRIBE news.a app:1 other',
        'PSUBSCRIBE news.*',
        'PSUBSCRIBE n*',
        'SSUBSCRIBE app:2',
      ]) {
        const [mine, theirs] = await Promise.all([login(proxy.port, user), login(beside.port, user)]);
        const words = text.split(' ');
        const [got, expected] = [await mine.exchange(...words), await theirs.exchange(...words)].map(String) as [
          string,
          string,
        ];
        expect(got, text).toBe(newer(expected, user));
        mine.close();
        theirs.close();
      }
    });
  },
);
