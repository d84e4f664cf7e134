import { readFile, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type RunningProxy, runProxy, startProxy, writeConfig } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisServer, startRedis } from '../../support/redis.js';
import { command, ErrorReply } from '../../support/resp.js';
import { CONFIGURED, hashOf, login, USERS } from './access-users.js';

let upstream: RedisServer;
let proxy: RunningProxy;

const listener = (users: unknown[], more: Record<string, unknown> = {}) => ({
  listeners: [{ cluster: 'main', users, auth_failure_delay: '0ms', ...more }],
  clusters: [{ name: 'main', type: 'sharded', endpoints: [upstream.address] }],
});

beforeAll(async () => {
  upstream = await startRedis();
  proxy = await startProxy({ config: listener(CONFIGURED) });
});

afterAll(async () => {
  await proxy?.stop();
  await upstream?.stop();
});

const message = async (client: RawClient, ...args: string[]) => {
  const reply = await client.ask(...args);
  return reply instanceof ErrorReply ? reply.message : reply;
};

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
    for (const user of USERS) expect(all).not.toContain(hashOf(user));
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
    const client = await login(proxy.port, 'selectors');
    for (const words of [
      ['DEL', 'a'],
      ['GET', 'z'],
      ['SET', 'z', 'v'],
      ['PUBLISH', 'z', 'm'],
    ]) {
      expect(await message(client, ...words)).toMatch(/^NOPERM/);
    }
    client.close();
    const stats = await proxy.stats('downstream_acl_denied');
    for (const [kind, count] of [
      ['cmd', 1],
      ['key', 2],
      ['channel', 1],
    ] as const) {
      expect(stats[`redis.egress_redis.downstream_acl_denied_${kind}`], kind).toBeGreaterThanOrEqual(count);
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

describe('a password in a file', () => {
  it('that is written anew holds without a reload, and disconnects nobody', async () => {
    const { file, dir } = await writeConfig('first\n');
    const watching = await startProxy({
      config: listener([{ name: 'app', rules: '+@all ~*', passwords: [{ filename: file }] }]),
    });
    try {
      const client = await login(watching.port, 'app', 'first');
      await writeFile(file, 'second\n');
      const next = await RawClient.connect({ port: watching.port });
      await poll(
        'the new password is right',
        10_000,
        async () => (await message(next, 'AUTH', 'app', 'second')) === 'OK',
      );
      expect(await message(next, 'AUTH', 'app', 'first')).toMatch(/^WRONGPASS/);
      expect(await message(client, 'PING')).toBe('PONG');
      expect(watching.stderr()).toMatch(/passwords were read again: listeners\[0\]\.users\[app\]\.passwords/);
      client.close();
      next.close();
    } finally {
      await watching.stop();
      await rm(dir, { recursive: true });
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
