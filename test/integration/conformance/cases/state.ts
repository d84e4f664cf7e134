import { script } from '../script.js';

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
    MULTI
    PING
    PING word
    ECHO x
    SELECT 0
    INFO bogus
    EXEC
    MULTI
    SET {t}k v
    INFO bogus
    PING
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
