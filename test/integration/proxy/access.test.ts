import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type RunningProxy, runProxy, startProxy, writeConfig } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisServer, startRedis } from '../../support/redis.js';
import { command, ErrorReply } from '../../support/resp.js';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** Rules of every kind; each user exists in the proxy's configuration and in a Redis beside it. */
const RULES: Readonly<Record<string, string>> = {
  everything: '+@all ~* &*',
  nothing: '-@all',
  reader: '+@read ~* &*',
  writer: '+@write -@dangerous ~* &*',
  careful: '+@all -@dangerous -@scripting ~* &*',
  app: '+@all ~app:* &app:*',
  mixed: '+@all ~app:* %R~shared:* %W~log:* &news',
  some: '+get +set +config|get +client|id +select|0 -object +object|encoding ~*',
  selectors: '+get ~a* (+set ~b* &b) (+@hash +publish ~c* &c*)',
  odd: '+@all ~[ab]:? ~x\\* ~[^a-y]* resetchannels &n?ws',
  channels: '+@pubsub +ping &news.* &app:[12]',
  later: '+@all -set +set -get ~* resetkeys ~k allchannels',
};
const USERS = Object.keys(RULES);

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

let upstream: RedisServer;
let beside: RedisServer;
let proxy: RunningProxy;

const listener = (users: unknown[], more: Record<string, unknown> = {}) => ({
  listeners: [{ cluster: 'main', users, auth_failure_delay: '0ms', ...more }],
  clusters: [{ name: 'main', type: 'sharded', endpoints: [upstream.address] }],
});

beforeAll(async () => {
  [upstream, beside] = await Promise.all([startRedis(), startRedis()]);
  const connection = await beside.connect();
  for (const [name, rules] of Object.entries(RULES)) {
    await connection.call('ACL', 'SETUSER', name, 'on', `>${name}-secret`, ...rules.split(/ (?![^(]*\))/));
  }
  connection.close();
  proxy = await startProxy({
    config: listener(
      Object.entries(RULES).map(([name, rules]) => ({
        name,
        rules,
        passwords: [{ sha256: sha256(`${name}-secret`) }],
      })),
    ),
  });
});

afterAll(async () => {
  await proxy?.stop();
  await Promise.all([upstream?.stop(), beside?.stop()]);
});

async function login(port: number, user: string, password = `${user}-secret`): Promise<RawClient> {
  const client = await RawClient.connect({ port });
  await client.call('AUTH', user, password);
  return client;
}

const message = async (client: RawClient, ...args: string[]) => {
  const reply = await client.ask(...args);
  return reply instanceof ErrorReply ? reply.message : reply;
};

describe(`${USERS.length * COMMANDS.length} commands by ${USERS.length} users`, () => {
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
});

describe('a proxy with users', () => {
  it('has nobody do anything without a login when there is no default user', async () => {
    const client = await RawClient.connect({ port: proxy.port });
    for (const words of [['GET', 'a'], ['PING'], ['CLIENT', 'ID'], ['NOSUCH'], ['ACL', 'WHOAMI']]) {
      expect(await message(client, ...words)).toBe('NOAUTH Authentication required.');
    }
    expect(await message(client, 'AUTH', 'everything-secret')).toMatch(/^WRONGPASS /);
    expect(await message(client, 'RESET')).toBe('RESET');
    expect(await message(client, 'HELLO', '3', 'AUTH', 'reader', 'reader-secret')).toBeInstanceOf(Map);
    expect(await message(client, 'ACL', 'WHOAMI')).toMatch(/^NOPERM User reader /);
    client.close();
  });

  it('says who its users are and what they may do, without hashes', async () => {
    const client = await login(proxy.port, 'everything');
    const list = (await client.call('ACL', 'LIST')) as string[];
    expect(list).toHaveLength(USERS.length);
    expect(list).toContain('user app on sanitize-payload ~app:* resetchannels &app:* +@all');
    expect(list).toContain(
      'user selectors on sanitize-payload ~a* resetchannels -@all +get (~b* resetchannels &b -@all +set) (~c* resetchannels &c* -@all +@hash +publish)',
    );
    expect(await client.call('ACL', 'USERS')).toEqual(USERS);
    const all = JSON.stringify([
      list,
      await client.call('ACL', 'GETUSER', 'app'),
      (await proxy.page('/config_dump')).body,
    ]);
    for (const user of USERS) expect(all).not.toContain(sha256(`${user}-secret`));
    expect(await client.call('ACL', 'GETUSER', 'nobody')).toBeNull();
    expect(await client.call('ACL', 'DRYRUN', 'app', 'GET', 'app:1')).toBe('OK');
    expect(await client.call('ACL', 'DRYRUN', 'app', 'GET', 'other')).toBe('No permissions to access a key');
    expect(await client.call('ACL', 'DRYRUN', 'some', 'config', 'SET', 'a', 'b')).toBe(
      "User some has no permissions to run the 'config|set' command",
    );
    expect(await message(client, 'ACL', 'DRYRUN', 'nobody', 'GET', 'a')).toBe("ERR User 'nobody' not found");
    expect(await message(client, 'ACL', 'SETUSER', 'app', 'on')).toMatch(/^ERR unsupported command/);
    expect(await message(client, 'ACL', 'WHOAMI')).toBe('everything');
    expect(await client.call('CLIENT', 'LIST')).toMatch(/ user=everything /);
    client.close();
  });

  it('counts what it refuses, and warns of users whose scripts may do more than they', async () => {
    const stats = await proxy.stats('downstream_acl_denied');
    for (const kind of ['cmd', 'key', 'channel']) {
      expect(stats[`redis.egress_redis.downstream_acl_denied_${kind}`], kind).toBeGreaterThan(0);
    }
    expect(proxy.stderr()).toMatch(/may run scripts.*app/);
  });
});

describe('wrong passwords', () => {
  it('are answered late, counted and logged without them; a login that is right is not held', async () => {
    const delayed = await startProxy({
      config: listener(
        [
          { name: 'app', rules: '+@all ~*', passwords: [{ inline: 'right' }] },
          { name: 'two', rules: '+@all', passwords: [{ inline: 'two' }] },
        ],
        {
          auth_failure_delay: '300ms',
        },
      ),
    });
    try {
      const client = await RawClient.connect({ port: delayed.port });
      const started = performance.now();
      client.send(Buffer.concat([command('AUTH', 'app', 'hunter2'), command('PING')]));
      const replies = (await client.raw(2)).map(String);
      expect(performance.now() - started).toBeGreaterThanOrEqual(290);
      expect(replies[0]).toBe('-WRONGPASS invalid username-password pair or user is disabled.\r\n');
      expect(replies[1]).toMatch(/^-NOAUTH/);
      const quick = performance.now();
      (await login(delayed.port, 'two', 'two')).close();
      expect(performance.now() - quick).toBeLessThan(250);
      expect(await message(client, 'AUTH', 'app', 'right')).toBe('OK');
      client.close();
      expect((await delayed.stats('auth_failure'))['redis.egress_redis.downstream_auth_failure']).toBe(1);
      await poll('it is logged', 5000, () => /a login failed.*app/.test(delayed.stderr()));
      expect(delayed.stderr()).not.toContain('hunter2');
    } finally {
      await delayed.stop();
    }
  });
});

/** The file that a running proxy was given. */
async function configFileOf(pid: number): Promise<string> {
  const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
  return words[words.indexOf('--config') + 1] as string;
}

describe('a reload', () => {
  it('rotates passwords and changes rules under clients that stay, and lets those go whose user is gone', async () => {
    const user = (name: string, rules: string, ...passwords: string[]) => ({
      name,
      rules,
      passwords: passwords.map((inline) => ({ inline })),
    });
    const config = (...users: unknown[]) => ({
      ...listener(users),
      admin: { address: `127.0.0.1:${changing.adminPort}` },
      workers: 1,
      listeners: [{ ...listener(users).listeners[0], address: `127.0.0.1:${changing.port}` }],
    });
    const changing: RunningProxy = await startProxy({
      config: listener([user('app', '+@all ~*', 'old'), user('gone', '+@all ~*', 'gone')]),
    });
    try {
      const file = await configFileOf(changing.pid);
      const reload = async (...users: unknown[]) => {
        await writeFile(file, stringify(config(...users)));
        changing.signal('SIGHUP');
      };
      const [app, gone] = [await login(changing.port, 'app', 'old'), await login(changing.port, 'gone', 'gone')];
      await reload(user('app', '+@all ~*', 'old', 'new'));
      await gone.untilClosed();
      (await login(changing.port, 'app', 'new')).close();
      await reload(user('app', '+@all -set ~*', 'new'));
      await poll('the rules hold', 5000, async () => /^NOPERM/.test(String(await message(app, 'SET', 'a', 'b'))));
      expect(await message(app, 'PING')).toBe('PONG');
      const late = await RawClient.connect({ port: changing.port });
      expect(await message(late, 'AUTH', 'app', 'old')).toMatch(/^WRONGPASS/);
      expect(await message(late, 'AUTH', 'app', 'new')).toBe('OK');
      late.close();
      app.close();
    } finally {
      await changing.stop();
    }
  });
});

describe('a configuration with a mistake in its users', () => {
  const check = async (...users: string[]) => {
    const text = [
      'listeners:',
      '  - address: 127.0.0.1:1',
      '    cluster: main',
      '    users:',
      ...users.map((line) => `      ${line}`),
      'clusters:',
      '  - { name: main, endpoints: [127.0.0.1:2] }',
    ].join('\n');
    const { file, dir } = await writeConfig(text);
    const { code, stderr } = await runProxy(['--check', '--config', file]);
    await rm(dir, { recursive: true });
    expect(code).toBe(3);
    return stderr;
  };

  it.each([
    [
      ['- { name: a, rules: "+@reed ~*", passwords: [{ inline: x }] }'],
      /:5:\d+: listeners\[0\]\.users\[0\]\.rules: '\+@reed': there is no such category; did you mean '\+@read'\?/,
    ],
    [
      ['- { name: a, rules: "+gett", passwords: [{ inline: x }] }'],
      /'\+gett': there is no such command; did you mean '\+get'\?/,
    ],
    [
      ['- { name: a, rules: "+get >hunter2", passwords: [{ inline: x }] }'],
      /rules: '>': passwords stand in 'passwords'/,
    ],
    [['- { name: a, rules: "+get" }'], /users\[0\]\.passwords: missing: nobody can log in/],
    [['- { name: a, rules: "nopass", passwords: [{ inline: x }] }'], /users\[0\]\.passwords: the rules say 'nopass'/],
    [['- { name: a, rule: "+get" }'], /users\[0\]\.rule: unknown setting; did you mean 'rules'\?/],
    [['- { name: a, rules: "+get", passwords: [{ sha256: abc }] }'], /passwords\[0\]\.sha256: 64 hexadecimal digits/],
    [
      ['- { name: a, rules: "+get", passwords: [{ inline: x }], source_cidrs: [10.0.0.0/33] }'],
      /source_cidrs\[0\]: an address, or a range/,
    ],
    [['- { name: "a b", rules: "nopass" }'], /users\[0\]\.name: a name without spaces/],
    [
      ['- { name: a, rules: nopass }', '- { name: a, rules: nopass }'],
      /users\[1\]\.name: users\[0\] has this name already/,
    ],
  ])('%j is told what is wrong, and where', async (lines, expected) => {
    const said = await check(...lines);
    expect(said).toMatch(expected);
    expect(said).not.toContain('hunter2');
  });
});
