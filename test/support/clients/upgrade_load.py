"""Counts through a Redis endpoint as applications written in Python do, until standard input ends.

Usage: upgrade_load.py PORT THREADS. Every thread has a key of its own, which it counts up; half of the threads never
pause, the others do between two commands, as requests of a web application do. All of them share one client, as is usual.
A command is never given twice. Prints `ready` when every thread has counted, and in the end one JSON document.
"""
import json
import random
import sys
import threading
import time

import redis

port, count = int(sys.argv[1]), int(sys.argv[2])
client = redis.Redis(port=port, socket_timeout=20, max_connections=count)
running = True


class Counter(threading.Thread):
    def __init__(self, number):
        super().__init__()
        self.key = "upgrade:py:%d" % number
        self.pauses = number % 2 == 1
        self.acknowledged = 0
        self.wrong = []
        self.lost = []
        self.slowest = 0.0

    def run(self):
        last = 0
        while running:
            began = time.monotonic()
            try:
                value = client.incr(self.key)
                self.acknowledged += 1
                # One that was lost may have been counted all the same; whoever asked for this looks at that.
                if value <= last:
                    self.wrong.append("%s: %d after %d" % (self.key, value, last))
                last = value
            except redis.RedisError as error:
                self.lost.append("%s: %s" % (type(error).__name__, error))
            self.slowest = max(self.slowest, time.monotonic() - began)
            if self.pauses:
                time.sleep(0.01 + 0.2 * random.random())


threads = [Counter(number) for number in range(count)]
for thread in threads:
    thread.start()
while any(thread.acknowledged == 0 for thread in threads):
    time.sleep(0.01)
print("ready", flush=True)
sys.stdin.read()
running = False
for thread in threads:
    thread.join()
print(
    json.dumps(
        [
            {
                "key": each.key,
                "pauses": each.pauses,
                "acknowledged": each.acknowledged,
                "wrong": each.wrong,
                "lost": each.lost,
                "slowestMs": each.slowest * 1000,
            }
            for each in threads
        ]
    )
)
