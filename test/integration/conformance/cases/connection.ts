import { script } from '../script.js';

/** Longer than what an error shows of an unknown command. */
const LONG = 'x'.repeat(300);

export const CONNECTION = script(
  'the connection',
  String.raw`
  PING
  PING text
  PING one two
  PING "\x00\r\n\xff"
  ECHO "\x00\x01\r\n$*\xff\xfe\x80"
  ECHO ""
  ECHO
  BOGUS
  bogus ${LONG} ${LONG}
  ${LONG}
  BOGUS with "some arguments" "\x00\r\n\xff"
  ""
  "GE\r\nT" x
  GET
  GET a b
  CLIENT
  CLIENT BOGUS
  CLIENT "BO\r\nGUS"
  CLIENT GETNAME
  CLIENT SETNAME me
  CLIENT SETNAME "me and you"
  CLIENT GETNAME
  @fields CLIENT INFO
  @keep:id @shape CLIENT ID
  @fields CLIENT LIST ID $id
  # Valkey words these two in its own way.
  @class CLIENT LIST ID x
  CLIENT LIST TYPE pubsub
  CLIENT LIST TYPE bogus
  CLIENT LIST BOGUS
  CLIENT SETNAME ""
  CLIENT GETNAME
  CLIENT SETINFO LIB-NAME lib
  CLIENT SETINFO LIB-VER 1.0
  CLIENT SETINFO BOGUS 1.0
  CLIENT SETINFO LIB-NAME "two words"
  CLIENT NO-EVICT on
  CLIENT NO-EVICT off
  CLIENT NO-EVICT maybe
  CLIENT NO-TOUCH on
  CLIENT NO-TOUCH off
  CLIENT NO-TOUCH maybe
  CLIENT ID extra
  CLIENT GETREDIR
  CLIENT TRACKINGINFO
  @allowed:help CLIENT HELP
  CLIENT KILL 127.0.0.1:1
  CLIENT KILL ID 999999999
  @class CLIENT KILL ID x
  CLIENT KILL TYPE bogus
  CLIENT KILL BOGUS x
  CLIENT KILL ADDR 127.0.0.1:1 TYPE pubsub
  CLIENT KILL USER none
  CLIENT PAUSE 1
  CLIENT PAUSE x
  CLIENT PAUSE -1
  CLIENT PAUSE 1 BOGUS
  CLIENT PAUSE 1 WRITE
  CLIENT UNPAUSE
  CLIENT UNBLOCK 999999999
  CLIENT UNBLOCK $id
  CLIENT UNBLOCK $id ERROR
  CLIENT UNBLOCK $id BOGUS
  CLIENT UNBLOCK x
  CLIENT REPLY ON
  CLIENT REPLY BOGUS
  CLIENT TRACKING OFF
  CLIENT TRACKING BOGUS
  CLIENT CACHING YES
  CLIENT CACHING BOGUS
  AUTH secret
  # Alone: in a pipeline, Redis 8.0.6 does not answer this one.
  @alone AUTH someone secret
  AUTH someone secret more
  AUTH default secret
  HELLO three
  HELLO 4
  HELLO 2 BOGUS
  HELLO 2 SETNAME
  HELLO 2 SETNAME "a b"
  ACL WHOAMI
  CLIENT GETNAME
  RESET
  CLIENT GETNAME
  `,
);

export const SERVER = script(
  'the server',
  `
  COMMAND COUNT
  COMMAND INFO get
  COMMAND INFO get bogus xgroup|create mset
  @deep COMMAND INFO
  @deep COMMAND
  COMMAND DOCS get
  COMMAND DOCS bogus
  COMMAND GETKEYS SET key value
  COMMAND GETKEYS MSET a 1 b 2
  COMMAND GETKEYS PING
  COMMAND GETKEYS BOGUS
  COMMAND GETKEYSANDFLAGS SET key value
  @unordered COMMAND LIST
  COMMAND LIST FILTERBY PATTERN xrang*
  @unordered COMMAND LIST FILTERBY ACLCAT geo
  COMMAND LIST FILTERBY BOGUS x
  COMMAND HELP
  @shape LOLWUT
  LOLWUT VERSION 5 1 1 1
  @shape TIME
  @info INFO
  @info INFO server
  @info INFO keyspace
  @info INFO server memory
  @info INFO everything
  INFO bogus
  @shape ROLE
  @shape LASTSAVE
  WAIT 0 10
  WAIT 1 10
  WAIT x 10
  WAIT 1 -1
  WAITAOF 0 0 10
  WAITAOF 1 0 10
  WAITAOF 0 1 10
  WAITAOF x 0 10
  CONFIG GET maxmemory
  @pairs CONFIG GET maxmemory*
  @pairs CONFIG GET maxmemory slowlog-max-len
  CONFIG GET bogus
  CONFIG SET slowlog-max-len 64
  CONFIG GET slowlog-max-len
  CONFIG SET slowlog-max-len 128 latency-monitor-threshold 0
  CONFIG SET bogus 1
  CONFIG SET maxmemory-policy bogus
  CONFIG SET slowlog-max-len 64 slowlog-max-len 128
  CONFIG SET slowlog-max-len
  CONFIG RESETSTAT
  CONFIG REWRITE
  CONFIG HELP
  SLOWLOG RESET
  SLOWLOG LEN
  SLOWLOG GET
  CONFIG SET slowlog-log-slower-than 0
  GET some
  CONFIG SET slowlog-log-slower-than 10000
  # Which entry is the newest depends on what the proxy itself asks of a node in that moment.
  @kind SLOWLOG GET 1
  SLOWLOG GET -2
  SLOWLOG GET x
  SLOWLOG HELP
  SLOWLOG RESET
  COMMANDLOG LEN slow
  COMMANDLOG GET 10 slow
  COMMANDLOG RESET slow
  COMMANDLOG HELP
  LATENCY LATEST
  LATENCY RESET
  LATENCY RESET command
  LATENCY HISTORY command
  LATENCY GRAPH command
  @allowed:reports LATENCY DOCTOR
  LATENCY HISTOGRAM bogus
  LATENCY HELP
  @allowed:reports MEMORY DOCTOR
  MEMORY PURGE
  MEMORY HELP
  @shape MEMORY MALLOC-STATS
  # Fields come and go with what the server did last.
  @kind MEMORY STATS
  ACL WHOAMI
  ACL CAT
  @unordered ACL CAT geo
  ACL CAT bogus
  @shape ACL GENPASS
  @shape ACL GENPASS 8
  ACL GENPASS x
  ACL USERS
  @shape ACL LIST
  ACL GETUSER nobody
  ACL DRYRUN nobody GET k
  ACL DRYRUN default GET k
  ACL DRYRUN default NOSUCH k
  ACL DRYRUN default GET
  ACL DRYRUN default
  ACL HELP
  PUBSUB HELP
  PUBSUB CHANNELS none*
  PUBSUB NUMSUB
  PUBSUB NUMSUB none
  PUBSUB NUMPAT
  PUBSUB SHARDCHANNELS none*
  PUBSUB SHARDNUMSUB
  PUBSUB SHARDNUMSUB none
  PUBLISH nobody message
  SPUBLISH nobody message
  `,
);
