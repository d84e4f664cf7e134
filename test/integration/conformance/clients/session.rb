# What an application written in Ruby asks of a Redis endpoint. Usage: session.rb PORT PART
#
# Ends with a message and code 1 where an answer is wrong.
require 'redis'

# A thread that fails ends the session.
Thread.abort_on_exception = true

PORT = Integer(ARGV.fetch(0))

def connect
  Redis.new(port: PORT, timeout: 20, reconnect_attempts: 0)
end

R = connect

def same(found, expected)
  raise "#{found.inspect} is not #{expected.inspect}" unless found == expected
end

def fails(error, words)
  yield
rescue error => e
  raise "#{e.message.inspect} does not say #{words.inspect}" unless e.message.include?(words)
else
  raise 'no error'
end

def later(seconds)
  Thread.new do
    sleep seconds
    other = connect
    yield other
    other.close
  end
end

def pubsub
  heard = []
  subscribed = Queue.new
  listener = Thread.new do
    redis = connect
    redis.psubscribe('rb:*') do |on|
      on.psubscribe { subscribed << true }
      on.pmessage do |_pattern, channel, text|
        heard << [channel, text]
        redis.punsubscribe if text == 'end'
      end
    end
  end
  direct = []
  second = Thread.new do
    redis = connect
    redis.subscribe('rb:news', 'rb:other') do |on|
      on.subscribe { subscribed << true }
      on.message do |_channel, text|
        direct << text
        redis.unsubscribe if text == 'end'
      end
    end
  end
  3.times { subscribed.pop }
  200.times { |i| R.publish('rb:news', i.to_s) }
  same(R.pubsub(:numsub, 'rb:news'), ['rb:news', 1])
  R.publish('rb:news', 'end')
  raise 'no end' unless listener.join(10) && second.join(10)
  same(heard, (0...200).map { |i| ['rb:news', i.to_s] } + [['rb:news', 'end']])
  same(direct, (0...200).map(&:to_s) + ['end'])
end

def transactions
  same(R.multi { |tx| tx.set('{rb}a', 1); tx.incr('{rb}a'); tx.get('{rb}a') }, ['OK', 2, '2'])
  same(R.watch('{rb}a') { R.multi { |tx| tx.set('{rb}a', 'mine') } }, ['OK'])
  conflict = R.watch('{rb}a') do
    other = connect
    other.set('{rb}a', 'theirs')
    other.close
    R.multi { |tx| tx.set('{rb}a', 'never') }
  end
  same(conflict, nil)
  same(R.get('{rb}a'), 'theirs')
  R.watch('{rb}a')
  same(R.unwatch, 'OK')
  fails(Redis::CommandError, 'WRONGTYPE') { R.multi { |tx| tx.set('{rb}a', 'x'); tx.lpush('{rb}a', 'y') } }
  same(R.get('{rb}a'), 'x')
end

def blocking
  same(R.blpop('{rb}queue', timeout: 1), nil)
  waker = later(0.1) { |redis| redis.rpush('{rb}queue', %w[one two]) }
  same(R.blpop('{rb}none', '{rb}queue', timeout: 10), ['{rb}queue', 'one'])
  waker.join
  same(R.brpop('{rb}queue', timeout: 10), ['{rb}queue', 'two'])
  waker = later(0.1) { |redis| redis.rpush('{rb}queue', 'moved') }
  same(R.brpoplpush('{rb}queue', '{rb}to', timeout: 10), 'moved')
  waker.join
  waker = later(0.1) { |redis| redis.zadd('{rb}sorted', 1.5, 'm') }
  same(R.bzpopmin('{rb}sorted', timeout: 10), ['{rb}sorted', 'm', 1.5])
  waker.join
end

def scan
  names = (0...2000).map { |i| "rb:scan:#{i}" }
  R.mset(*names.flat_map { |name| [name, '1'] })
  same(R.scan_each(match: 'rb:scan:*', count: 100).to_a.uniq.sort, names.sort)
  same(R.keys('rb:scan:*').sort, names.sort)
  R.mapped_hmset('rb:hash', (0...1000).to_h { |i| [i.to_s, i] })
  same(R.hscan_each('rb:hash').to_a.uniq.length, 1000)
  same(R.del(*names), 2000)
end

def scripts
  digest = R.script(:load, 'return {KEYS[1], ARGV[1]}')
  same(R.script(:exists, [digest, '0' * 40]), [true, false])
  20.times { |i| same(R.evalsha(digest, keys: ["rb:#{i}"], argv: ['arg']), ["rb:#{i}", 'arg']) }
  same(R.eval('return redis.call("SET", KEYS[1], ARGV[1])', keys: ['rb:s'], argv: ['v']), 'OK')
  fails(Redis::CommandError, 'NOSCRIPT') { R.evalsha('0' * 40) }
end

def streams
  ids = (0...10).map { |i| R.xadd('rb:stream', { 'n' => i }) }
  same(R.xrange('rb:stream').map(&:first), ids)
  same(R.xgroup(:create, 'rb:stream', 'workers', '0'), 'OK')
  found = R.xreadgroup('workers', 'me', 'rb:stream', '>', count: 4)
  same(found['rb:stream'].map { |_, entry| entry['n'] }, %w[0 1 2 3])
  same(R.xack('rb:stream', 'workers', ids.first(4)), 4)
  waker = later(0.1) { |redis| redis.xadd('rb:stream', { 'n' => 'late' }) }
  same(R.xread('rb:stream', '$', block: 10_000)['rb:stream'].first.last, { 'n' => 'late' })
  waker.join
end

# One of the methods above.
send(ARGV.fetch(1))
