import { script } from '../script.js';

export const SCRIPTS = script(
  'scripts',
  String.raw`
  EVAL 'return {KEYS[1], ARGV[1], 7, {1, {2, "x"}}, false}' 1 script arg
  EVAL 'return redis.call("SET", KEYS[1], ARGV[1])' 1 script stored
  EVAL 'return redis.call("GET", KEYS[1])' 1 script
  EVAL 'return redis.status_reply("FINE")' 0
  EVAL 'return redis.error_reply("MINE own error")' 1 script
  EVAL 'return redis.call("INCR", KEYS[1])' 1 script
  EVAL 'return redis.pcall("INCR", KEYS[1])' 1 script
  EVAL 'return nonsense(' 1 script
  EVAL 'return nonsense()' 1 script
  EVAL 'redis.setresp(3); return {map={a=1}, double={double=1.5}}' 1 script
  EVAL 'redis.setresp(3); redis.call("HSET", KEYS[1], "f", "v"); return redis.call("HGETALL", KEYS[1])' 1 scripthash
  EVAL 'return {double=3.25}' 1 script
  EVAL 'return {map={a=1}}' 1 script
  EVAL 'return {set={a=true}}' 1 script
  EVAL 'return {big_number="12345678901234567890"}' 1 script
  EVAL 'return {verbatim_string={format="txt", string="words"}}' 1 script
  EVAL 'redis.setresp(3); return {true, false, redis.call("GET", KEYS[1])}' 1 scriptnone
  EVAL 'return 1.9' 0
  EVAL 'return {1, 2, nil, 4}' 0
  EVAL 'return 1' many
  EVAL 'return 1' -1
  EVAL 'return 1' 2 script
  EVAL 'return KEYS[1]' 1 "\x00\r\n\xff"
  EVAL 'return KEYS[1]' 1 ""
  EVAL 'return #KEYS' 3 {k}1 {k}2 {k}3
  EVAL_RO 'return redis.call("GET", KEYS[1])' 1 script
  EVAL_RO 'return redis.call("SET", KEYS[1], 1)' 1 script
  EVAL "#!lua flags=no-writes\nreturn 1" 1 script
  EVALSHA 0000000000000000000000000000000000000000 1 script
  EVALSHA tooshort 1 script
  EVALSHA_RO 0000000000000000000000000000000000000000 0
  SCRIPT LOAD 'return {KEYS[1], ARGV[1]}'
  @keep:sha SCRIPT LOAD 'return {KEYS[1], ARGV[1]}'
  EVALSHA $sha 1 k1 a1
  EVALSHA $sha 1 k2 a2
  EVALSHA $sha 1 k3 a3
  EVALSHA $sha 1 k5 a5
  EVALSHA $sha 0
  EVALSHA_RO $sha 1 k4 a4
  SCRIPT EXISTS $sha 0000000000000000000000000000000000000000
  SCRIPT EXISTS
  SCRIPT SHOW $sha
  SCRIPT SHOW 0000000000000000000000000000000000000000
  SCRIPT LOAD 'return nonsense('
  SCRIPT KILL
  SCRIPT HELP
  SCRIPT FLUSH BOGUS
  SCRIPT FLUSH ASYNC
  SCRIPT EXISTS $sha
  EVALSHA $sha 1 k1 a1
  EVAL 'return "by text"' 1 k1
  SCRIPT FLUSH SYNC
  SCRIPT FLUSH
  `,
);

/** The library that the function cases load; one line for each line of its code. */
const LIBRARY = [
  '#!lua name=mylib',
  'redis.register_function("echo", function(keys, args) return {keys, args} end)',
  'redis.register_function("put", function(keys, args) return redis.call("SET", keys[1], args[1]) end)',
  'redis.register_function{function_name="take", flags={"no-writes"}, description="reads",',
  ' callback=function(keys, args) return redis.call("GET", keys[1]) end}',
].join('\\n');
const CODE = `"${LIBRARY.replaceAll('"', '\\"')}"`;

export const FUNCTIONS = script(
  'functions',
  String.raw`
  FUNCTION LIST
  FUNCTION LOAD ${CODE}
  FUNCTION LOAD ${CODE}
  FUNCTION LOAD REPLACE ${CODE}
  FUNCTION LOAD BOGUS ${CODE}
  FUNCTION LOAD 'no shebang'
  FUNCTION LOAD "#!lua name=bad\nnonsense("
  FUNCTION LOAD "#!python name=bad\npass"
  @deep FUNCTION LIST
  @deep FUNCTION LIST LIBRARYNAME mylib WITHCODE
  FUNCTION LIST LIBRARYNAME none*
  FUNCTION LIST BOGUS
  FCALL echo 1 k a b
  FCALL echo 0 a
  FCALL put 1 f1 v1
  FCALL put 1 f2 v2
  FCALL put 1 f3 v3
  FCALL put 1 f4 v4
  FCALL take 1 f1
  FCALL_RO take 1 f2
  FCALL_RO put 1 f2 v
  FCALL none 1 k
  FCALL_RO none 1 k
  FCALL echo x k
  FCALL echo -1 k
  FCALL echo 3 k
  MGET f1 f2 f3 f4
  FUNCTION STATS
  FUNCTION KILL
  FUNCTION HELP
  @keep:lib FUNCTION DUMP
  FUNCTION RESTORE $lib
  FUNCTION RESTORE $lib REPLACE
  FUNCTION RESTORE $lib BOGUS
  FUNCTION DELETE mylib
  FUNCTION DELETE mylib
  FCALL take 1 f1
  FUNCTION RESTORE $lib APPEND
  FCALL take 1 f1
  FUNCTION RESTORE $lib FLUSH
  FUNCTION RESTORE junk
  FUNCTION FLUSH BOGUS
  FUNCTION FLUSH ASYNC
  FUNCTION LIST
  FUNCTION FLUSH SYNC
  FUNCTION FLUSH
  FUNCTION STATS
  `,
);
