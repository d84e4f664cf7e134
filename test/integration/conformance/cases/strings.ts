import { script } from '../script.js';

export const STRINGS = script(
  'strings',
  String.raw`
  SET s hello
  GET s
  get s
  GET missing
  SET s other NX
  SET s other XX GET
  SET fresh v NX GET
  SET s x EX 0
  SET s x EX abc
  SET s x EX 9223372036854775807
  SET s x BOGUS
  SET s x NX XX
  SET s x EX 10 PX 10
  SET s x KEEPTTL
  SET s x PXAT 99999999999999
  SET s x IFEQ x
  SET s x
  GETSET s new
  GETSET missing2 v
  GETDEL s
  GETDEL s
  SETNX s first
  SETNX s second
  SETEX s 100 timed
  SETEX s 0 timed
  SETEX s ten timed
  PSETEX s 100000 timed
  PSETEX s -1 timed
  GETEX s
  GETEX s PERSIST
  GETEX s EX 100
  GETEX s EX 100 PERSIST
  GETEX missing EX 100
  TTL s
  APPEND s -more
  APPEND fresh2 start
  STRLEN s
  STRLEN missing
  GETRANGE s 1 3
  GETRANGE s -3 -1
  GETRANGE s 5 1
  GETRANGE s x 1
  SUBSTR s 0 1
  SETRANGE s 2 XY
  SETRANGE s -1 XY
  SETRANGE s 536870912 XY
  SETRANGE padded 5 x
  GET padded
  INCR n
  SET n 10
  INCR n
  INCRBY n 5
  DECR n
  DECRBY n 3
  DECRBY n -9223372036854775808
  INCRBYFLOAT n 0.5
  INCRBYFLOAT n 1e400
  INCRBYFLOAT n x
  INCR s
  INCRBY n many
  SET max 9223372036854775807
  INCR max
  DECRBY max 1
  MSET a 1 b 2 c 3 d 4 e 5 f 6
  MGET a b c d e f missing a
  MGET a
  MSET a 1 b
  MSET a 1 a 2 b 3
  MGET a b
  MSETNX {t}1 a {t}2 b
  MSETNX {t}1 a {t}3 b
  MSETNX {t}1 a {t}3
  LCS {t}1 {t}2
  SET {t}x ohmytext
  SET {t}y mynewtext
  LCS {t}x {t}y
  LCS {t}x {t}y LEN
  LCS {t}x {t}y IDX MINMATCHLEN 4 WITHMATCHLEN
  LCS {t}x {t}y LEN IDX
  MSETEX 2 {t}1 a {t}2 b EX 100
  MSETEX x {t}1 a
  DELIFEQ {t}x ohmytext
  DELIFEQ {t}y other
  DELIFEQ missing other
  SET empty ""
  GET empty
  STRLEN empty
  SET "" "empty key"
  GET ""
  SET "\x00\x01\r\n$*\xff\xfe\x80" "\x00\x01\r\n$*\xff\xfe\x80"
  GET "\x00\x01\r\n$*\xff\xfe\x80"
  MSET "\x00\xff" one plain "\r\n"
  MGET plain "\x00\xff" missing
  DEL "\x00\xff" plain ""
  MGET "" {} {}a }{ a{b {a}{b}
  SET s text
  LPUSH list x
  GET list
  APPEND list x
  INCR list
  MGET s list missing
  `,
);

export const BITMAPS = script(
  'bitmaps',
  `
  SETBIT bit 7 1
  SETBIT bit 100 1
  SETBIT bit 7 2
  SETBIT bit -1 1
  SETBIT bit 4294967296 1
  GETBIT bit 7
  GETBIT bit 8
  GETBIT missing 8
  GETBIT bit x
  BITCOUNT bit
  BITCOUNT bit 0 0
  BITCOUNT bit 5 30 BIT
  BITCOUNT bit 0
  BITCOUNT missing
  BITPOS bit 1
  BITPOS bit 0 2 -1
  BITPOS bit 1 8 -1 BIT
  BITPOS bit 2
  BITPOS missing 0
  BITOP AND {bit}out bit bit
  SET {bit}a abc
  SET {bit}b xyz
  BITOP OR {bit}out {bit}a {bit}b
  GET {bit}out
  BITOP XOR {bit}out {bit}a {bit}b
  BITOP NOT {bit}out {bit}a
  BITOP NOT {bit}out {bit}a {bit}b
  BITOP NAND {bit}out {bit}a {bit}b
  BITOP DIFF {bit}out {bit}a {bit}b
  BITFIELD bit SET u8 0 255 GET u4 0 INCRBY u2 6 1
  BITFIELD bit OVERFLOW FAIL INCRBY u2 100 5
  BITFIELD bit OVERFLOW BOGUS
  BITFIELD bit GET u65 0
  BITFIELD bit
  BITFIELD_RO bit GET u8 0 GET i8 #1
  BITFIELD_RO bit SET u8 0 1
  LPUSH list x
  SETBIT list 1 1
  BITCOUNT list
  `,
);

export const HYPERLOGLOGS = script(
  'hyperloglogs',
  `
  PFADD {p}1 a b c
  PFADD {p}1 a
  PFADD {p}2 c d
  PFADD {p}empty
  PFCOUNT {p}1
  PFCOUNT {p}1 {p}2
  PFCOUNT missing
  PFMERGE {p}3 {p}1 {p}2
  PFMERGE {p}4
  PFCOUNT {p}3
  SET {p}s text
  PFADD {p}s x
  PFCOUNT {p}s
  PFMERGE {p}3 {p}s
  `,
);

export const GEO = script(
  'geo',
  `
  GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
  GEOADD g NX CH 13 38 Palermo 14 37 Gela
  GEOADD g 200 100 Nowhere
  GEOADD g 13
  GEOADD g x y z
  GEODIST g Palermo Catania km
  GEODIST g Palermo Catania
  GEODIST g Palermo missing
  GEODIST g Palermo Catania parsec
  GEOHASH g Palermo missing
  GEOHASH g
  GEOPOS g Palermo missing
  GEOPOS missing x
  GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHCOORD WITHDIST WITHHASH
  GEOSEARCH g FROMMEMBER Palermo BYBOX 400 400 km DESC COUNT 2
  GEOSEARCH g FROMMEMBER missing BYRADIUS 1 km
  GEOSEARCH g BYRADIUS 1 km ASC
  GEOSEARCHSTORE {g}2 g FROMMEMBER Palermo BYBOX 400 400 km ASC
  GEOSEARCHSTORE {g}2 g FROMMEMBER Palermo BYBOX 400 400 km ASC STOREDIST
  ZRANGE {g}2 0 -1 WITHSCORES
  GEORADIUS g 15 37 200 km ASC
  GEORADIUS g 15 37 200 km STORE {g}3
  GEORADIUS g 15 37 200 km WITHDIST STORE {g}3
  GEORADIUS_RO g 15 37 200 km WITHDIST ASC
  GEORADIUS_RO g 15 37 200 km STORE {g}3
  GEORADIUSBYMEMBER g Palermo 200 km ASC
  GEORADIUSBYMEMBER g Palermo 200 km STOREDIST {g}4
  GEORADIUSBYMEMBER_RO g Palermo 200 km ASC
  SET s x
  GEOADD s 1 1 x
  GEOPOS s x
  `,
);
