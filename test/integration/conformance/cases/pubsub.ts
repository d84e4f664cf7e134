import { script } from '../script.js';

/** Subscribers and publishers. */
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
