"""What an application written in Python asks of a Redis endpoint. Usage: session.py PORT PART

Ends with a traceback and code 1 where an answer is wrong.
"""
import sys
import threading
import time

import redis

port = int(sys.argv[1])
r = redis.Redis(port=port, socket_timeout=20, decode_responses=True)


def same(found, expected):
    if found != expected:
        raise AssertionError("%r is not %r" % (found, expected))


def fails(error, words, function, *args, **named):
    try:
        function(*args, **named)
    except error as caught:
        if words not in str(caught):
            raise AssertionError("%r does not say %r" % (str(caught), words))
    else:
        raise AssertionError("no error")


def next_message(subscriber):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        message = subscriber.get_message(timeout=1)
        if message is not None:
            return message
    raise AssertionError("no message")


def later(seconds, function, *args):
    timer = threading.Timer(seconds, function, args)
    timer.start()
    return timer


def pubsub():
    with r.pubsub() as subscriber:
        subscriber.subscribe("py:news", "py:other")
        same([next_message(subscriber)["type"] for _ in range(2)], ["subscribe"] * 2)
        subscriber.psubscribe("py:*")
        same(next_message(subscriber)["data"], 3)
        r.publish("py:news", "hello")
        found = [next_message(subscriber) for _ in range(2)]
        same(sorted(m["type"] for m in found), ["message", "pmessage"])
        same([m["data"] for m in found], ["hello"] * 2)
        same(sorted(r.pubsub_channels("py:*")), ["py:news", "py:other"])
        subscriber.unsubscribe("py:news")
        same(next_message(subscriber)["type"], "unsubscribe")
        for number in range(500):
            r.publish("py:other", number)
        numbers = [next_message(subscriber) for _ in range(1000)]
        same([int(m["data"]) for m in numbers if m["type"] == "message"], list(range(500)))
        same([int(m["data"]) for m in numbers if m["type"] == "pmessage"], list(range(500)))


def transactions():
    with r.pipeline() as pipe:
        same(pipe.set("{py}a", 1).incr("{py}a").get("{py}a").execute(), [True, 2, "2"])

    def add(pipe):
        value = int(pipe.get("{py}a"))
        pipe.multi()
        pipe.set("{py}a", value + 5)

    same(r.transaction(add, "{py}a"), [True])
    same(r.get("{py}a"), "7")
    with r.pipeline() as pipe:
        pipe.watch("{py}a")
        r.set("{py}a", "changed")
        pipe.multi()
        pipe.set("{py}a", "never")
        fails(redis.WatchError, "", pipe.execute)
    with r.pipeline() as pipe:
        pipe.set("{py}a", "text").lpush("{py}a", "x").get("{py}a")
        found = pipe.execute(raise_on_error=False)
        same([found[0], found[2]], [True, "text"])
        same(isinstance(found[1], redis.ResponseError), True)
    with r.lock("{py}lock", timeout=10, blocking_timeout=5) as lock:
        same(lock.owned(), True)
    same(r.exists("{py}lock"), 0)


def blocking():
    same(r.blpop("{py}queue", timeout=1), None)
    timer = later(0.1, r.rpush, "{py}queue", "one", "two")
    same(r.blpop(["{py}none", "{py}queue"], timeout=10), ("{py}queue", "one"))
    timer.join()
    same(r.brpop("{py}queue", timeout=10), ("{py}queue", "two"))
    timer = later(0.1, r.zadd, "{py}sorted", {"m": 1.5})
    same(r.bzpopmin("{py}sorted", timeout=10), ("{py}sorted", "m", 1.5))
    timer.join()
    timer = later(0.1, r.rpush, "{py}queue", "moved")
    same(r.blmove("{py}queue", "{py}to", 10), "moved")
    timer.join()
    same(r.wait(0, 10), 0)


def scan():
    names = {"py:scan:%d" % i for i in range(2000)}
    r.mset({name: 1 for name in names})
    same(set(r.scan_iter(match="py:scan:*", count=100)), names)
    same(set(r.scan_iter(match="py:scan:*", _type="list")), set())
    same(set(r.keys("py:scan:*")), names)
    r.hset("py:hash", mapping={str(i): i for i in range(1000)})
    same(len(dict(r.hscan_iter("py:hash"))), 1000)
    same(r.delete(*names), 2000)
    same(list(r.scan_iter(match="py:scan:*")), [])


def scripts():
    add = r.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    same([add(keys=["py:n:%d" % i], args=[i]) for i in range(20)], list(range(20)))
    digest = r.script_load("return {KEYS[1], ARGV[1]}")
    same(r.script_exists(digest, "0" * 40), [True, False])
    for i in range(20):
        same(r.evalsha(digest, 1, "py:%d" % i, "arg"), ["py:%d" % i, "arg"])
    fails(redis.exceptions.NoScriptError, "", r.evalsha, "0" * 40, 0)
    library = "#!lua name=pylib\nredis.register_function('pyget', function(k) return redis.call('GET', k[1]) end)"
    same(r.function_load(library, replace=True), "pylib")
    for i in range(1, 20):
        same(r.fcall("pyget", 1, "py:n:%d" % i), str(i))
    same(r.function_delete("pylib"), True)


def streams():
    ids = [r.xadd("py:stream", {"n": i}) for i in range(10)]
    same([id for id, _ in r.xrange("py:stream")], ids)
    same(r.xgroup_create("py:stream", "workers", "0"), True)
    found = r.xreadgroup("workers", "me", {"py:stream": ">"}, count=4)
    same([entry["n"] for _, entry in found[0][1]], ["0", "1", "2", "3"])
    same(r.xpending("py:stream", "workers")["pending"], 4)
    same(r.xack("py:stream", "workers", *ids[:4]), 4)
    timer = later(0.1, r.xadd, "py:stream", {"n": "late"})
    found = r.xread({"py:stream": "$"}, block=10000)
    timer.join()
    same(found[0][1][0][1], {"n": "late"})
    same(r.xread({"py:stream": "$"}, block=20), [])


{part.__name__: part for part in (pubsub, transactions, blocking, scan, scripts, streams)}[sys.argv[2]]()
