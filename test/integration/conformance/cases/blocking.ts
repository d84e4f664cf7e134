import { script } from '../script.js';

/** Commands that wait, and those who serve them. */
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
