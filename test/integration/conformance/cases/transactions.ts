import { script } from '../script.js';

/** Transactions, over one or more connections. */
export const TRANSACTIONS = [
  script(
    'a transaction executes all',
    `
    MULTI
    SET {t}a 1
    INCR {t}a
    LPUSH {t}a x
    GET {t}a
    EXEC
    GET {t}a
  `,
  ),
  script(
    'a transaction executes nothing after a command that could not be queued',
    `
    SET {t}a 1
    MULTI
    INCR {t}a
    GET
    INCR {t}a
    EXEC
    GET {t}a
    EXEC
    MULTI
    BOGUS x
    EXEC
    MULTI
    SET {t}a
    DISCARD
    MULTI
    OBJECT BOGUS x
    EXEC
    MULTI
    CLIENT BOGUS
    EXEC
    GET {t}a
  `,
  ),
  script(
    'an empty transaction, and one of commands without keys',
    `
    MULTI
    EXEC
    MULTI
    PING
    ECHO text
    PING text
    EXEC
    MULTI
    @shape TIME
    @shape EXEC
    MULTI
    SELECT 0
    PING
    EXEC
  `,
  ),
  script(
    'MULTI, EXEC, DISCARD and WATCH in the wrong place',
    `
    EXEC
    DISCARD
    # Valkey words the two in its own way.
    MULTI
    @class MULTI
    SET {t}a 1
    @class WATCH {t}a
    UNWATCH
    @allowed:nested EXEC
    MULTI
    SET {t}b 1
    DISCARD
    GET {t}b
    EXEC
    MULTI extra
    MULTI
    EXEC extra
    EXEC
    WATCH
    UNWATCH
  `,
  ),
  script(
    'a watched key that changed stops the transaction',
    `
    SET {w}k 1
    WATCH {w}k
    MULTI
    SET {w}k mine
    EXEC
    GET {w}k
    WATCH {w}k
    b: SET {w}k theirs
    MULTI
    SET {w}k mine
    EXEC
    GET {w}k
    MULTI
    SET {w}k mine
    EXEC
    GET {w}k
  `,
  ),
  script(
    'UNWATCH, DISCARD and EXEC forget what was watched',
    `
    SET {w}k 1
    WATCH {w}k {w}other
    b: SET {w}other theirs
    UNWATCH
    MULTI
    SET {w}k 2
    EXEC
    WATCH {w}k
    b: SET {w}k theirs
    MULTI
    DISCARD
    MULTI
    SET {w}k 3
    EXEC
    WATCH {w}k
    MULTI
    EXEC
    b: SET {w}k theirs
    MULTI
    GET {w}k
    EXEC
    WATCH {w}k
    SET {w}k own
    MULTI
    GET {w}k
    EXEC
    WATCH {w}missing
    b: DEL {w}missing
    MULTI
    PING
    EXEC
    WATCH {w}k
    WATCH {w}k {w}more
    b: SET {w}more 1
    GET {w}k
    MULTI
    EXEC
  `,
  ),
  script(
    'RESET ends a transaction and what was watched',
    `
    WATCH {w}k
    MULTI
    SET {w}k never
    RESET
    GET {w}k
    EXEC
    WATCH {w}k
    b: SET {w}k theirs
    RESET
    MULTI
    GET {w}k
    EXEC
  `,
  ),
  script(
    'inside a transaction, commands that block do not',
    `
    MULTI
    BLPOP {t}none 0
    BRPOPLPUSH {t}none {t}other 0
    XREAD BLOCK 0 STREAMS {t}none 0
    BZPOPMIN {t}none 0
    WAIT 1 0
    EXEC
    MULTI
    QUIT
    ax
  `,
  ),
  script(
    'what concerns the connection or all shards is not taken into a transaction',
    `
    MULTI
    SET {t}k v
    @allowed:inside SUBSCRIBE transaction:channel
    @allowed:inside EXEC
    RESET
    b: GET nothing
    b: MULTI
    b: @allowed:inside MONITOR
    b: @allowed:inside EXEC
    c: MULTI
    c: @allowed:inside CLIENT SETNAME inside
    c: @allowed:inside EXEC
    d: MULTI
    d: @allowed:inside ACL WHOAMI
    d: @allowed:inside EXEC
    e: MULTI
    e: @allowed:inside HELLO 2 SETNAME inside
    e: @allowed:inside EXEC
  `,
  ),
  script(
    'scripts, functions and publications inside a transaction',
    `
    SCRIPT LOAD "return redis.call('INCR', KEYS[1])"
    MULTI
    EVAL "return redis.call('INCR', KEYS[1])" 1 {t}n
    EVALSHA f3bb3ff7f7b2ee5a1a8c1e3f1c7d8e7c66d8fd1c 1 {t}n
    PUBLISH transaction:nobody x
    EVAL "return 1" 0
    EXEC
    GET {t}n
  `,
  ),
  script(
    'a transaction with keys of odd forms',
    String.raw`
    MULTI
    SET "\x00\r\n\xff" "\x00\r\n"
    GET "\x00\r\n\xff"
    EXEC
    MULTI
    SET "" empty
    GET ""
    EXEC
    MULTI
    MSET {a}1 1 {a}2 2
    MGET {a}1 {a}2 {a}3
    DEL {a}1 {a}2
    EXISTS {a}1
    EXEC
  `,
  ),
  script(
    'a large transaction',
    `
    MULTI
    ${Array.from({ length: 300 }, (_, i) => `SET {big}${i} ${i}`).join('\n')}
    EXEC
    MGET {big}0 {big}299
  `,
  ),
];
