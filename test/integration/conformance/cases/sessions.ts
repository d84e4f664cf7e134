import { script } from '../script.js';

/** What a connection remembers, in scripts over one or more connections. */
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
    d: @allowed:inside INFO bogus
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

export const BLOCKING = [
  script(
    'a blocked pop is served by another connection',
    `
    a! BLPOP {l}1 {l}2 0
    b: RPUSH {l}2 x y
    a< 1
    LRANGE {l}2 0 -1
    a! BRPOP {l}1 0
    b: RPUSH {l}1 z
    a< 1
    a! BLMOVE {l}none {l}to LEFT RIGHT 0
    b: RPUSH {l}none moved
    a< 1
    LRANGE {l}to 0 -1
    a! BRPOPLPUSH {l}none {l}to 0
    b: RPUSH {l}none again
    a< 1
    a! BLMPOP 0 2 {l}x {l}none LEFT COUNT 2
    b: RPUSH {l}none 1 2 3
    a< 1
    a! BZPOPMIN {z}1 0
    b: ZADD {z}1 1.5 m
    a< 1
    a! BZPOPMAX {z}1 0
    b: ZADD {z}1 1 m 2 n
    a< 1
    a! BZMPOP 0 2 {z}2 {z}3 MIN
    b: ZADD {z}3 7 seven
    a< 1
  `,
  ),
  script(
    'a blocked read of a stream is served by another connection',
    `
    a! XREAD BLOCK 0 STREAMS {x}s $
    b: XADD {x}s 1-1 f v
    a< 1
    a! XREAD COUNT 1 BLOCK 5000 STREAMS {x}none {x}s 0 1-1
    b: XADD {x}s 1-2 f v
    a< 1
    XGROUP CREATE {x}s g $
    a! XREADGROUP GROUP g me BLOCK 0 STREAMS {x}s >
    b: XADD {x}s 1-3 f v
    a< 1
    a! XREADGROUP GROUP g me BLOCK 0 STREAMS {x}s >
    b: XGROUP DESTROY {x}s g
    a< 1
  `,
  ),
  script(
    'those who wait are served in the order in which they came',
    `
    a! BLPOP {l}q 0
    b! BLPOP {l}q 0
    c! BLPOP {l}q 0
    d: RPUSH {l}q 1 2
    a< 1
    b< 1
    d: RPUSH {l}q 3
    c< 1
  `,
  ),
  script(
    'commands behind a blocked one wait for it',
    `
    a! BLPOP {l}q 0
    a:0 SET {l}after 1
    b: GET {l}after
    b: RPUSH {l}q x
    a< 2
    b: GET {l}after
  `,
  ),
  script(
    'a blocked client is unblocked by CLIENT UNBLOCK',
    `
    @keep:id @shape CLIENT ID
    a! BLPOP {l}q 0
    b: CLIENT UNBLOCK $id
    a< 1
    a! BLPOP {l}q 0
    b: CLIENT UNBLOCK $id ERROR
    a< 1
    b: CLIENT UNBLOCK $id
    PING
  `,
  ),
  script(
    'a key of the wrong type does not wake the one who waits',
    `
    a! BLPOP {l}q 0
    b: SET {l}q text
    b: DEL {l}q
    b: RPUSH {l}q item
    a< 1
  `,
  ),
  script(
    'a transaction and a script serve the one who waits',
    `
    a! BLPOP {l}q 0
    b: MULTI
    b: RPUSH {l}q 1
    b: RPUSH {l}q 2
    b: EXEC
    a< 1
    a! BLPOP {l}none 0
    b: EVAL "return redis.call('RPUSH', KEYS[1], 'from script')" 1 {l}none
    a< 1
    a! BLPOP {l}none 0
    b: RPUSH {l}other renamed
    b: RENAME {l}other {l}none
    a< 1
  `,
  ),
  script(
    'timeouts, and waits for replicas that are not there',
    `
    BLPOP {l}none 0.05
    BRPOP {l}none 0.05
    BLMOVE {l}none {l}to LEFT LEFT 0.05
    BZPOPMIN {l}none 0.05
    BZMPOP 0.05 1 {l}none MIN
    BLMPOP 0.05 1 {l}none LEFT
    XREAD BLOCK 50 STREAMS {l}none $
    SET {l}k v
    WAIT 1 50
    WAIT 0 0
  `,
  ),
  script(
    'RESET and QUIT after a wait',
    `
    BLPOP {l}none 0.01
    RESET
    BLPOP {l}none 0.01
    QUIT
    ax
  `,
  ),
];

export const PUB_SUB = [
  script(
    'messages of a channel and of a pattern',
    String.raw`
    SUBSCRIBE ps1:a
    a:2 SUBSCRIBE ps1:b ps1:a
    PSUBSCRIBE ps1:*
    b: PUBLISH ps1:a one
    a< 2
    b: PUBLISH ps1:other two
    a< 1
    b: PUBLISH ps1:b "\x00\r\n\xff"
    a< 2
    b: PUBLISH ps1:b ""
    a< 2
    b: PUBLISH ps0:none x
    UNSUBSCRIBE ps1:a
    b: PUBLISH ps1:a three
    a< 1
    PUNSUBSCRIBE ps1:*
    b: PUBLISH ps1:a four
    UNSUBSCRIBE ps1:b
    UNSUBSCRIBE ps1:never
    b: PUBLISH ps1:b five
    GET nothing
  `,
  ),
  script(
    'unsubscribing from all',
    `
    UNSUBSCRIBE
    PUNSUBSCRIBE
    SUNSUBSCRIBE
    SUBSCRIBE ps2:a
    PSUBSCRIBE ps2:*
    UNSUBSCRIBE
    PUNSUBSCRIBE
    PING
    UNSUBSCRIBE
  `,
  ),
  script(
    'two subscribers, and one that also publishes to itself',
    `
    SUBSCRIBE ps3:c
    b: SUBSCRIBE ps3:c
    b: PSUBSCRIBE ps3:[a-d]
    c: PUBLISH ps3:c x
    a< 1
    b< 2
    c: PUBSUB CHANNELS ps3:*
    c: PUBSUB NUMSUB ps3:c ps3:none
    c: PUBSUB NUMPAT
    a: UNSUBSCRIBE ps3:c
    c: PUBLISH ps3:c y
    b< 2
    a: PUBLISH ps3:c z
    b< 2
    b: UNSUBSCRIBE
    b: PUNSUBSCRIBE
    c: PUBSUB CHANNELS ps3:*
    c: PUBSUB NUMPAT
  `,
  ),
  script(
    'commands of other kinds during a subscription',
    `
    SUBSCRIBE ps4:c
    PING
    PING text
    GET k
    SET k v
    MULTI
    EXEC
    BOGUS
    GET
    PUBLISH ps4:none x
    CLIENT ID extra
    DISCARD
    UNSUBSCRIBE ps4:c
    GET k
    EXEC
  `,
  ),
  script(
    'RESET ends subscriptions',
    `
    SUBSCRIBE ps5:c
    PSUBSCRIBE ps5:*
    RESET
    b: PUBLISH ps5:c x
    PING
    GET nothing
  `,
  ),
  script(
    'QUIT during a subscription',
    `
    SUBSCRIBE ps6:c
    QUIT
    ax
    b: PUBSUB NUMSUB ps6:c
  `,
  ),
  script(
    'sharded pub/sub',
    `
    SSUBSCRIBE ps7:c
    a:2 SSUBSCRIBE {ps7}a {ps7}b
    b: SPUBLISH ps7:c one
    a< 1
    b: SPUBLISH {ps7}a two
    a< 1
    b: PUBLISH ps7:c three
    b: PING
    b: PUBSUB SHARDNUMSUB ps7:c {ps7}a ps7:none
    b: @unordered PUBSUB SHARDCHANNELS *ps7*
    SUNSUBSCRIBE ps7:c
    b: SPUBLISH ps7:c four
    SUNSUBSCRIBE {ps7}a
    SUNSUBSCRIBE
    GET nothing
  `,
  ),
  script(
    'subscribing with arguments of odd forms',
    String.raw`
    SUBSCRIBE
    SUBSCRIBE ""
    b: PUBLISH "" empty
    a< 1
    SUBSCRIBE "\x00\r\n\xff"
    b: PUBLISH "\x00\r\n\xff" binary
    a< 1
    UNSUBSCRIBE ""
    UNSUBSCRIBE "\x00\r\n\xff"
    PSUBSCRIBE "ps8:\\*[ab"
    b: PUBLISH ps8:*a x
    a< 1
  `,
  ),
  script(
    'a publisher inside a script and a transaction',
    `
    SUBSCRIBE ps9:c
    # Inside a cluster, a script and a transaction are told of the receivers at their own node only.
    b: EVAL "redis.call('PUBLISH', KEYS[1], ARGV[1]); return 'sent'" 1 ps9:c hello
    a< 1
    b: MULTI
    b: PUBLISH ps9:c inside
    b: @shape EXEC
    a< 1
  `,
  ),
];

/** The state of a connection, and what connections do to each other. */
export const STATE = [
  script(
    'saving',
    `
    SET k v
    SAVE
    BGSAVE BOGUS
    @shape BGSAVE
    @shape LASTSAVE
  `,
  ),
  script(
    'HELLO changes the version back and forth',
    `
    HSET h f v
    @mask:id HELLO 3
    HGETALL h
    GET missing
    @mask:id HELLO
    @mask:id HELLO 2
    HGETALL h
    GET missing
    @mask:id HELLO 2 SETNAME named
    CLIENT GETNAME
    @mask:id HELLO 3
    RESET
    HGETALL h
    CLIENT GETNAME
  `,
  ),
  script(
    'HELLO during a subscription',
    `
    HELLO 2 AUTH
    @mask:id HELLO 2
    SUBSCRIBE st1:c
    HELLO 3
    UNSUBSCRIBE st1:c
  `,
  ),
  script(
    'CLIENT REPLY OFF, ON and SKIP',
    `
    a:0 CLIENT REPLY OFF
    a:0 SET r 1
    a:0 BOGUS
    a:0 GET
    a: CLIENT REPLY ON
    GET r
    a:0 CLIENT REPLY SKIP
    a:0 SET r 2
    GET r
    a:0 CLIENT REPLY SKIP
    a:0 BOGUS
    GET r
    a:0 CLIENT REPLY SKIP
    a:0 MSET r 3 s 4 t 5
    MGET r s t
    a:0 CLIENT REPLY OFF
    a:0 MGET r s t
    a:0 CLIENT REPLY SKIP
    a: CLIENT REPLY ON
    PING
  `,
  ),
  script(
    'CLIENT KILL ends other connections and this one',
    `
    b: @keep:id @shape CLIENT ID
    CLIENT KILL ID $id
    bx
    c: @keep:own @shape CLIENT ID
    c: CLIENT KILL ID $own SKIPME yes
    c: CLIENT KILL ID $own SKIPME no
    cx
    CLIENT KILL ID $own
  `,
  ),
  script(
    'CLIENT PAUSE holds writes back until CLIENT UNPAUSE',
    `
    SET p 1
    b: CLIENT PAUSE 3000 WRITE
    GET p
    a:0 SET p 2
    b: GET p
    b: CLIENT UNPAUSE
    a< 1
    b: GET p
  `,
  ),
  script(
    'QUIT answers what came before it',
    `
    SET q 1
    QUIT
    ax
  `,
  ),
  script(
    'MONITOR shows what others do',
    String.raw`
    b: PING
    MONITOR
    b: SET monitored "a\r\n\xff\"b"
    a< @monitor 1
    RESET
    GET monitored
  `,
  ),
  script(
    'a transaction over commands that the proxy answers itself',
    `
    MULTI
    PING
    ECHO x
    CLIENT ID extra
    EXEC
  `,
  ),
  script(
    'client tracking',
    `
    @allowed:tracking CLIENT TRACKING ON
    b: CLIENT TRACKING OFF
    b: CLIENT TRACKINGINFO
    b: CLIENT GETREDIR
    c: @allowed:tracking CLIENT TRACKING ON BCAST PREFIX a
  `,
  ),
  script(
    'rewriting the append-only file',
    `
    @shape BGREWRITEAOF
  `,
  ),
];
