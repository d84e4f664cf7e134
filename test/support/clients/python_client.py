"""Uses a Redis endpoint as an application written in Python does. Usage: python_client.py PORT

Prints one line per part that worked; ends with a traceback and code 1 at the first that did not.
"""
import sys

import redis

port = int(sys.argv[1])
r = redis.Redis(port=port, client_name="python", socket_timeout=20)


def same(found, expected):
    if found != expected:
        raise AssertionError("%r is not %r" % (found, expected))


def fails(error, words, function, *args):
    try:
        function(*args)
    except error as caught:
        if words not in str(caught):
            raise AssertionError("%r does not say %r" % (str(caught), words))
    else:
        raise AssertionError("no error")


def strings():
    same(r.ping(), True)
    same(r.set("py:s", "value", ex=100), True)
    same(r.get("py:s"), b"value")
    same(0 < r.ttl("py:s") <= 100, True)
    same(r.expire("py:s", 200), True)
    same(r.incr("py:n", 5), 5)
    same(r.client_getname(), "python")
    same(r.client_setname("other"), True)


def binary():
    key, value = bytes(range(256)), b"\r\n$5\r\n\x00" + bytes(range(255, -1, -1))
    same(r.set(key, value), True)
    same(r.get(key), value)
    big = b"x\r\n" * 350000
    same(r.set("py:big", big), True)
    same(r.get("py:big") == big, True)


def structures():
    same(r.hset("py:h", mapping={"a": "1", "b": "2"}), 2)
    same(r.hgetall("py:h"), {b"a": b"1", b"b": b"2"})
    same(r.rpush("py:l", "a", "b", "c"), 3)
    same(r.lrange("py:l", 0, -1), [b"a", b"b", b"c"])
    same(r.zadd("py:z", {"one": 1, "two": 2.5}), 2)
    same(r.zrange("py:z", 0, -1, withscores=True), [(b"one", 1.0), (b"two", 2.5)])
    same(r.xadd("py:x", {"f": "v"}, id="1-1"), b"1-1")
    same(r.xread({"py:x": "0"}), [[b"py:x", [(b"1-1", {b"f": b"v"})]]])


def several_keys():
    names = ["py:many:%d" % i for i in range(500)]
    same(r.mset({name: name for name in names}), True)
    same(r.mget(names + ["py:none"]), [name.encode() for name in names] + [None])
    same(r.exists(*names, "py:none"), 500)
    same(r.touch(*names[:100]), 100)
    same(r.unlink(*names[:200]), 200)
    same(r.delete(*names), 300)


def scripts():
    same(r.eval("return {KEYS[1], ARGV[1]}", 1, "py:k", "arg"), [b"py:k", b"arg"])
    fails(redis.ResponseError, "WRONGTYPE", r.eval, "return redis.call('GET', KEYS[1])", 1, "py:h")


def pipelines():
    with r.pipeline(transaction=False) as pipe:
        for i in range(3000):
            pipe.set("py:p:%d" % i, i)
            pipe.get("py:p:%d" % i)
        replies = pipe.execute()
    same(replies[0::2], [True] * 3000)
    same(replies[1::2], [str(i).encode() for i in range(3000)])


def errors():
    fails(redis.ResponseError, "WRONGTYPE", r.lpush, "py:s", "x")
    fails(redis.ResponseError, "unsupported command 'shutdown'", r.execute_command, "SHUTDOWN")
    fails(redis.ResponseError, "wrong number of arguments", r.execute_command, "GET")
    same(r.get("py:s"), b"value")


for part in (strings, binary, structures, several_keys, scripts, pipelines, errors):
    part()
    print(part.__name__)
