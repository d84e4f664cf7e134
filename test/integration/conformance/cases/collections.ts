import { script } from '../script.js';

export const HASHES = script(
  'hashes',
  String.raw`
  HSET h f1 v1 f2 v2 n 5
  HSET h odd
  HSET h f1 v1 odd
  HGET h f1
  HGET h missing
  HMGET h f1 missing f2
  HMGET missing f1
  HGETALL h
  HGETALL missing
  HKEYS h
  HVALS h
  HLEN h
  HSTRLEN h f1
  HEXISTS h f1
  HEXISTS h missing
  HSETNX h f1 no
  HSETNX h f3 yes
  HINCRBY h n 2
  HINCRBY h f1 2
  HINCRBY h n x
  HINCRBYFLOAT h n 0.25
  HINCRBYFLOAT h f1 1
  HRANDFIELD h 0
  HRANDFIELD missing
  HRANDFIELD missing 2
  @unordered HRANDFIELD h 100
  @shape HRANDFIELD h
  @shape HRANDFIELD h -7 WITHVALUES
  @shape HRANDFIELD h 2 WITHVALUES
  HRANDFIELD h x
  HDEL h f1 missing
  HMSET h a 1
  HMSET h a
  @deep HSCAN h 0
  @deep HSCAN h 0 MATCH f* COUNT 100
  @deep HSCAN h 0 NOVALUES
  HSCAN h x
  HSCAN h 0 COUNT 0
  HSCAN missing 0
  HSET "\x00\r\n\xff" "\x00f\r\n" "\xffv"
  HGETALL "\x00\r\n\xff"
  # The expiry of fields (Redis 8 and Valkey 9).
  HSET hx f1 v1 f2 v2 f3 v3
  HEXPIRE hx 1000 FIELDS 2 f1 missing
  HEXPIRE hx 1000 NX FIELDS 1 f1
  HEXPIRE hx 1000 FIELDS 2 f1
  HEXPIRE hx soon FIELDS 1 f1
  HPEXPIRE hx 1000000 FIELDS 1 f2
  HEXPIREAT hx 99999999999 FIELDS 1 f1
  HPEXPIREAT hx 9999999999999 FIELDS 1 f2
  HEXPIRETIME hx FIELDS 3 f1 f3 missing
  HPEXPIRETIME hx FIELDS 2 f2 f3
  @shape HTTL hx FIELDS 3 f1 f3 missing
  @shape HPTTL hx FIELDS 3 f1 f3 missing
  HPERSIST hx FIELDS 3 f1 f3 missing
  HTTL hx FIELDS 1 f1
  HGETEX hx FIELDS 2 f1 missing
  HGETEX hx PERSIST FIELDS 1 f2
  HGETEX hx EX 100 FIELDS 1 f2
  HSETEX hx EX 1000 FIELDS 2 f4 v4 f5 v5
  HSETEX hx FNX FIELDS 1 f4 v4
  HGETDEL hx FIELDS 2 f4 missing
  @unordered HGETALL hx
  SET s text
  HGET s f
  HSET s f v
  HGETALL s
  HTTL s FIELDS 1 f
  `,
);

export const LISTS = script(
  'lists',
  `
  RPUSH l a b c d
  LPUSH l z
  LRANGE l 0 -1
  LRANGE l 5 9
  LRANGE l x 9
  LLEN l
  LLEN missing
  LINDEX l 1
  LINDEX l 99
  LINDEX l x
  LSET l 0 y
  LSET l 99 y
  LSET missing 0 y
  LINSERT l BEFORE b aa
  LINSERT l AFTER missing aa
  LINSERT missing AFTER b aa
  LINSERT l BESIDE b aa
  LPOS l b
  LPOS l missing
  LPOS l b COUNT 0 MAXLEN 10
  LPOS l b RANK 0
  LREM l 1 aa
  LREM l x aa
  LTRIM l 0 3
  LPOP l
  RPOP l 2
  RPOP l
  LPOP missing
  LPOP missing 2
  LPOP l -1
  LPOP l x
  LPUSHX missing x
  RPUSHX missing x
  RPUSH l m n
  LPUSHX l first
  RPUSHX l last
  LMOVE l {l}2 LEFT RIGHT
  LMOVE l {l}2 UP RIGHT
  LMOVE missing {missing}2 LEFT RIGHT
  RPUSH {l}2 p q
  RPOPLPUSH {l}2 l
  RPOPLPUSH missing {missing}2
  LMPOP 2 l {l}2 LEFT COUNT 2
  LMPOP 1 missing LEFT
  LMPOP 0 l LEFT
  LMPOP x l LEFT
  LMPOP 1 l MIDDLE
  LMPOP 1 l LEFT COUNT 0
  LRANGE {l}2 0 -1
  GET {l}2
  SET s text
  LPUSH s x
  LRANGE s 0 -1
  LMOVE s {s}l LEFT LEFT
  # Blocking commands that need not wait.
  RPUSH {b}l 1 2 3 4 5 6 7 8 9
  BLPOP {b}l 0
  BLPOP {b}none {b}l 1
  BRPOP {b}l 0
  BLMOVE {b}l {b}m LEFT RIGHT 0
  BRPOPLPUSH {b}l {b}m 0
  BLMPOP 0 2 {b}none {b}l LEFT COUNT 2
  @sample BLMPOP 0.01 1 {b}none RIGHT
  @sample BLPOP {b}none 0.01
  @sample BRPOP {b}none 0.01
  @sample BLMOVE {b}none {b}m LEFT RIGHT 0.01
  @sample BRPOPLPUSH {b}none {b}m 0.01
  BLPOP {b}l x
  BLPOP {b}l -1
  BRPOP {b}l -1
  BLMOVE {b}l {b}m LEFT MIDDLE 0
  BLMOVE {b}l {b}m LEFT LEFT x
  BRPOPLPUSH {b}l {b}m x
  BLMPOP 0 0 {b}l LEFT
  BLMPOP 0 1 {b}l BOTH
  BLMPOP 0 x {b}l LEFT
  BLMPOP -1 1 {b}l LEFT
  SET {b}s text
  BLPOP {b}s 0
  BLPOP {b}l {b}s 0
  BLMOVE {b}s {b}m LEFT LEFT 0
  BLMPOP 0 1 {b}s LEFT
  LRANGE {b}m 0 -1
  `,
);

export const SETS = script(
  'sets',
  `
  SADD {s}1 1 2 3 4
  SADD {s}2 3 4 5
  SADD {s}1 4
  SADD {w} a b c
  SCARD {s}1
  SCARD missing
  SISMEMBER {s}1 1
  SISMEMBER missing 1
  SMISMEMBER {s}1 1 9
  @unordered SMEMBERS {s}1
  @unordered SMEMBERS {w}
  SMEMBERS missing
  @unordered SINTER {s}1 {s}2
  @unordered SUNION {s}1 {s}2
  @unordered SDIFF {s}1 {s}2
  SINTER {s}1 {s}missing
  SINTERCARD 2 {s}1 {s}2
  SINTERCARD 2 {s}1 {s}2 LIMIT 1
  SINTERCARD 2 {s}1 {s}2 LIMIT -1
  SINTERCARD 0 {s}1
  SINTERCARD x {s}1
  SINTERCARD 3 {s}1 {s}2
  SINTERSTORE {s}3 {s}1 {s}2
  SUNIONSTORE {s}3 {s}1 {s}2
  SDIFFSTORE {s}3 {s}1 {s}2
  SINTERSTORE {s}3 {s}1 {s}missing
  EXISTS {s}3
  SMOVE {s}1 {s}2 1
  SMOVE {s}1 {s}2 99
  SREM {s}1 2 9
  @deep SSCAN {s}1 0
  @deep SSCAN {w} 0 COUNT 100 MATCH *
  SSCAN {w} nine
  SSCAN missing 0
  @unordered SRANDMEMBER {s}1 100
  @shape SRANDMEMBER {s}1
  @shape SRANDMEMBER {s}1 -20
  SRANDMEMBER missing
  SRANDMEMBER missing 2
  SRANDMEMBER {s}1 x
  SPOP missing
  SPOP missing 2
  SPOP {s}1 -1
  @unordered @sample SPOP {s}1 100
  SADD {one} only
  SPOP {one}
  EXISTS {one}
  SET {s}s text
  SADD {s}s x
  SMEMBERS {s}s
  SINTER {s}2 {s}s
  SUNIONSTORE {s}2 {s}2 {s}s
  `,
);

export const SORTED_SETS = script(
  'sorted sets',
  `
  ZADD {z}1 1 a 2 b 3.5 c
  ZADD {z}1 XX CH 9 a
  ZADD {z}1 NX 9 a
  ZADD {z}1 GT LT 9 a
  ZADD {z}1 INCR 1 a
  ZADD {z}1 NX INCR 1 a
  ZADD {z}1 INCR 1 a 2 b
  ZADD {z}1 1
  ZADD {z}1 x a
  ZADD {z}2 1 b 2 x
  ZADD {z}1 nan a
  ZADD {z}inf +inf top -inf bottom 1e300 big 0.1 tenth
  ZRANGE {z}inf 0 -1 WITHSCORES
  ZSCORE {z}1 c
  ZSCORE {z}1 missing
  ZSCORE {z}inf top
  ZMSCORE {z}1 a missing
  ZMSCORE missing a
  ZRANK {z}1 c
  ZRANK {z}1 c WITHSCORE
  ZRANK {z}1 missing
  ZREVRANK {z}1 c
  ZREVRANK {z}1 missing WITHSCORE
  ZREVRANK {z}1 missing
  ZINCRBY {z}1 1.5 b
  ZINCRBY {z}1 x b
  ZRANGE {z}1 0 -1 WITHSCORES
  ZRANGE {z}1 (1 5 BYSCORE LIMIT 0 1
  ZRANGE {z}1 [a [z BYLEX
  ZRANGE {z}1 0 -1 REV
  ZRANGE {z}1 0 1 LIMIT 0 1
  ZRANGE {z}1 x 1
  ZREVRANGE {z}1 0 1
  ZREVRANGE {z}1 0 1 WITHSCORES
  ZRANGEBYSCORE {z}1 -inf +inf WITHSCORES
  ZRANGEBYSCORE {z}1 (1 (5 LIMIT 0 1
  ZRANGEBYSCORE {z}1 x y
  ZREVRANGEBYSCORE {z}1 +inf -inf
  ZRANGEBYLEX {z}2 - +
  ZRANGEBYLEX {z}2 a z
  ZREVRANGEBYLEX {z}2 + -
  ZLEXCOUNT {z}2 - +
  ZLEXCOUNT {z}2 x y
  ZCOUNT {z}1 0 100
  ZCOUNT {z}1 x 100
  ZCARD {z}1
  ZCARD missing
  ZUNION 2 {z}1 {z}2 WITHSCORES
  ZUNION 2 {z}1 {z}2 WEIGHTS 2
  ZINTER 2 {z}1 {z}2 WEIGHTS 2 1 WITHSCORES
  ZINTER 2 {z}1 {z}2 AGGREGATE MAX
  ZDIFF 2 {z}1 {z}2
  ZDIFF 2 {z}1 {z}2 WITHSCORES
  ZUNIONSTORE {z}3 2 {z}1 {z}2
  ZINTERSTORE {z}3 2 {z}1 {z}2 WEIGHTS 1 2 AGGREGATE MIN
  ZDIFFSTORE {z}3 2 {z}1 {z}2
  ZINTERCARD 2 {z}1 {z}2
  ZINTERCARD 2 {z}1 {z}2 LIMIT 1
  ZRANGESTORE {z}4 {z}1 0 1
  ZRANGE {z}4 0 -1 WITHSCORES
  ZPOPMIN {z}1
  ZPOPMAX {z}1 2
  ZPOPMIN missing
  ZPOPMIN {z}inf -1
  ZMPOP 2 {z}1 {z}2 MIN
  ZMPOP 1 {z}inf MAX COUNT 2
  ZMPOP 1 missing MIN
  ZMPOP 0 {z}1 MIN
  ZMPOP 1 {z}1 MID
  @deep ZSCAN {z}2 0
  ZSCAN {z}2 x
  @unordered ZRANDMEMBER {z}2 10
  @shape ZRANDMEMBER {z}2
  @shape ZRANDMEMBER {z}2 -3 WITHSCORES
  ZRANDMEMBER missing
  ZRANDMEMBER {z}2 x
  ZREM {z}2 missing
  ZREM {z}2 x
  ZADD {r} 1 a 2 b 3 c 4 d 5 e 6 f
  ZREMRANGEBYRANK {r} 0 0
  ZREMRANGEBYRANK {r} x 0
  ZREMRANGEBYSCORE {r} 2 3
  ZREMRANGEBYSCORE {r} x 3
  ZADD {x} 0 a 0 b 0 c
  ZREMRANGEBYLEX {x} [a [b
  ZREMRANGEBYLEX {x} a b
  ZRANGE {r} 0 -1
  ZUNION 0 {z}1
  ZUNION x {z}1
  ZUNION 5 {z}1
  # Blocking commands that need not wait.
  ZADD {b}z 1 a 2 b 3 c 4 d 5 e
  BZPOPMIN {b}z 0
  BZPOPMAX {b}none {b}z 1
  BZMPOP 0 2 {b}none {b}z MIN COUNT 2
  @sample BZPOPMIN {b}none 0.01
  @sample BZPOPMAX {b}none 0.01
  @sample BZMPOP 0.01 1 {b}none MAX
  BZPOPMIN {b}z x
  BZPOPMAX {b}z -1
  BZMPOP 0 0 {b}z MIN
  BZMPOP x 1 {b}z MIN
  SET {b}s text
  BZPOPMIN {b}s 0
  BZPOPMAX {b}s 0
  BZMPOP 0 1 {b}s MIN
  ZADD {b}s 1 x
  ZRANGE {b}s 0 -1
  ZUNIONSTORE {b}z 2 {b}z {b}s
  `,
);

export const STREAMS = script(
  'streams',
  `
  XADD x 1-1 f v
  XADD x 1-2 f v2 g w
  XADD x 1-1 late entry
  XADD x 0-0 f v
  XADD x NOMKSTREAM 2-* f v3
  XADD missing NOMKSTREAM * f v
  XADD x MAXLEN = 100 3-1 f v
  XADD x 4-1 odd
  XADD x bogus f v
  @shape XADD auto * f v
  XLEN x
  XLEN missing
  XRANGE x - +
  XRANGE x (1-1 + COUNT 1
  XRANGE x bogus +
  XREVRANGE x + - COUNT 1
  XREAD COUNT 2 STREAMS x 0
  XREAD STREAMS x 9-9
  XREAD STREAMS x {x}2 0 0
  XREAD STREAMS x
  XREAD STREAMS x {x}2 0
  XREAD COUNT x STREAMS x 0
  XREAD STREAMS x $
  XREAD STREAMS x >
  XREAD STREAMS x +
  XREAD BLOCK 10 STREAMS {x}none 0
  XREAD BLOCK 10 STREAMS x 0
  XREAD BLOCK -1 STREAMS x 0
  XREAD BLOCK x STREAMS x 0
  XGROUP CREATE x g 0
  XGROUP CREATE x g 0
  XGROUP CREATE missing g 0
  XGROUP CREATE made g $ MKSTREAM
  XGROUP CREATECONSUMER x g extra
  XGROUP CREATECONSUMER x g extra
  XGROUP CREATECONSUMER x none extra
  XREADGROUP GROUP g me COUNT 1 STREAMS x >
  XREADGROUP GROUP g me COUNT 1 BLOCK 10 STREAMS x >
  XREADGROUP GROUP g me STREAMS x 0
  XREADGROUP GROUP g me NOACK STREAMS x >
  XREADGROUP GROUP g me BLOCK 10 STREAMS x >
  XREADGROUP GROUP none me STREAMS x >
  XREADGROUP GROUP g me STREAMS x $
  XREADGROUP STREAMS x >
  XPENDING x g
  XPENDING x g IDLE 1000000 - + 10
  @shape XPENDING x g - + 10
  XPENDING x none
  XACK x g 1-1
  XACK x g 1-1 9-9
  XACK x g bogus
  XCLAIM x g other 0 1-2
  XCLAIM x g other 0 1-2 JUSTID
  XCLAIM x g other x 1-2
  XCLAIM x none other 0 1-2
  XAUTOCLAIM x g me 0 0
  XAUTOCLAIM x g me 0 0 COUNT 1 JUSTID
  XAUTOCLAIM x none me 0 0
  XINFO STREAM x
  @mask:seen-time,active-time,delivery-time,pending,pel XINFO STREAM x FULL
  XINFO STREAM missing
  XINFO GROUPS x
  XINFO GROUPS missing
  @mask:idle,inactive XINFO CONSUMERS x g
  XINFO CONSUMERS x none
  XINFO HELP
  XGROUP SETID x g 1-1
  XGROUP SETID x none 1-1
  XGROUP DELCONSUMER x g extra
  XGROUP DELCONSUMER x g extra
  XSETID x 5-5
  XSETID x 1-1
  XSETID x 6-6 ENTRIESADDED 10 MAXDELETEDID 1-1
  XTRIM x MAXLEN 1
  XTRIM x MINID 2
  XTRIM x BOGUS 2
  XDEL x 1-2
  XDEL x bogus
  XGROUP DESTROY x g
  XGROUP DESTROY x g
  XGROUP HELP
  SET s text
  XADD s * f v
  XREAD STREAMS s 0
  XGROUP CREATE s g 0
  XINFO STREAM s
  `,
);
