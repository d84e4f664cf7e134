import { script } from '../script.js';

export const KEYS = script(
  'keys',
  `
  SET k 1
  TYPE k
  TYPE missing
  EXPIRE k 100
  EXPIRE k 50 GT
  EXPIRE k 200 LT NX
  EXPIRE k soon
  EXPIRE missing 100
  EXPIREAT k 99999999999
  EXPIREAT k x
  EXPIRETIME k
  EXPIRETIME missing
  PEXPIRE k 100000
  PEXPIRE k 9223372036854775807
  PEXPIREAT k 99999999999999
  PEXPIRETIME k
  @shape TTL missing
  @shape PTTL missing
  @shape PTTL k
  EXPIRE k 1000
  TTL k
  PERSIST k
  PERSIST k
  TTL k
  EXPIRE k -1
  EXISTS k
  SET k 1
  OBJECT ENCODING k
  OBJECT ENCODING missing
  OBJECT REFCOUNT k
  OBJECT REFCOUNT missing
  @shape OBJECT IDLETIME k
  OBJECT IDLETIME missing
  OBJECT FREQ k
  OBJECT FREQ missing
  OBJECT HELP
  DUMP missing
  @keep:dump DUMP k
  RESTORE restored 0 $dump
  RESTORE restored 0 $dump
  RESTORE restored 0 $dump REPLACE
  RESTORE restored 0 $dump REPLACE IDLETIME 10
  RESTORE restored x $dump REPLACE
  RESTORE restored -1 $dump REPLACE
  RESTORE k2 0 junk
  GET restored
  COPY k {k}copy
  COPY k {k}copy
  COPY k {k}copy REPLACE
  COPY k k
  COPY missing {missing}copy
  RENAME {k}copy {k}renamed
  RENAMENX {k}renamed {k}copy
  RENAMENX {k}copy k
  RENAME {k}missing {k}x
  RENAME k k
  RENAMENX k k
  GET {k}copy
  MSET a 1 b 2 c 3
  EXISTS a b c missing a
  TOUCH a b missing
  DEL a b missing
  UNLINK c d missing
  LPUSH list 3 1 2
  SORT list
  SORT list DESC LIMIT 0 2
  SORT list ALPHA STORE {list}sorted
  LRANGE {list}sorted 0 -1
  SORT list LIMIT 0
  SORT list BY nosort
  SORT missing
  SORT_RO list
  SORT_RO list STORE {list}sorted
  LPUSH words b a
  SORT words
  SORT words ALPHA
  HSET hash f v
  SORT hash
  # A node of a cluster keeps some bytes more for each key: the slot that it is in.
  @shape MEMORY USAGE missing
  @shape MEMORY USAGE k
  @shape MEMORY USAGE list SAMPLES 0
  MEMORY USAGE list SAMPLES x
  @allowed:database MOVE k 1
  @allowed:database COPY k {k}other DB 1
  `,
);

/** Commands over all keys, which live on every master. */
export const KEYSPACE = script(
  'the whole keyspace',
  String.raw`
  DBSIZE
  KEYS *
  RANDOMKEY
  @scan SCAN 0
  MSET a 1 b 2 c 3 d 4 e 5 f 6 g 7 h 8 {a}x 1 {b}x 2
  RPUSH list 1 2 3
  SADD set 1 2 3
  HSET hash f v
  DBSIZE
  @unordered KEYS *
  @unordered KEYS [a-c]
  @unordered KEYS {*}x
  KEYS nothing*
  KEYS a
  @unordered KEYS "\x00*"
  @shape RANDOMKEY
  @scan SCAN 0
  @scan SCAN 0 COUNT 1
  @scan SCAN 0 MATCH [a-c] COUNT 3
  @scan SCAN 0 MATCH {*}* COUNT 1000
  @scan SCAN 0 TYPE list
  @scan SCAN 0 TYPE string MATCH ?
  @scan SCAN 0 MATCH a
  @scan SCAN 0 TYPE zset
  @scan SCAN 0 TYPE bogus
  SCAN x
  @allowed:cursor SCAN -1
  @allowed:cursor SCAN 3
  SCAN 0 COUNT 0
  SCAN 0 COUNT x
  SCAN 0 COUNT
  SCAN 0 BOGUS
  SCAN 0 MATCH a BOGUS
  FLUSHDB BOGUS
  FLUSHDB ASYNC
  DBSIZE
  MSET a 1 b 2 c 3 d 4
  FLUSHDB SYNC
  DBSIZE
  MSET a 1 b 2 c 3 d 4
  FLUSHALL
  DBSIZE
  MSET a 1 b 2 c 3 d 4
  FLUSHALL ASYNC
  FLUSHALL BOGUS
  FLUSHDB
  @unordered KEYS *
  SELECT 0
  SELECT zero
  SELECT 99999
  SELECT -1
  @allowed:database SELECT 1
  SELECT 0
  @allowed:database SWAPDB 0 1
  @class SWAPDB x 1
  `,
);
