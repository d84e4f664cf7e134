"""Passes Ethernet frames between two network cards. Usage: slow-line.py HOST LINE DELAY_MS LOSS SEED

What comes from LINE for HOST is held back for DELAY_MS, and of what comes from either side a share of LOSS (0 to 1) is
dropped, drawn by SEED. It says `ready` once it does, and ends with its standard input. It stands in for `tc netem`, which
not every kernel has.
"""
import random
import select
import socket
import sys
import time
from collections import deque

SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23
ETH_P_ALL = 3
# With the header that says what of checksums and segments is left to the card; a segment that is not cut yet has 64 KiB.
FRAME_MAX = 72 * 1024
# Above it frames are lost, as in any switch.
HELD_MAX = 20_000


def opened(card):
    found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    found.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    found.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    found.bind((card, 0))
    found.setblocking(False)
    return found


host, line = opened(sys.argv[1]), opened(sys.argv[2])
delay, loss = float(sys.argv[3]) / 1000, float(sys.argv[4])
draw = random.Random(int(sys.argv[5])).random
# From, to, how late, what is held.
ways = [(line, host, delay, deque()), (host, line, 0.0, deque())]
print("ready", flush=True)
while True:
    now = time.monotonic()
    due = [held[0][0] for _, _, _, held in ways if held]
    ready, _, _ = select.select([host, line, sys.stdin], [], [], max(0, min(due) - now) if due else None)
    if sys.stdin in ready:
        break
    now = time.monotonic()
    for source, target, late, held in ways:
        if source in ready:
            try:
                while True:
                    frame = source.recv(FRAME_MAX)
                    if draw() >= loss and len(held) < HELD_MAX:
                        held.append((now + late, frame))
            except BlockingIOError:
                pass
        while held and held[0][0] <= now:
            try:
                target.send(held.popleft()[1])
            except OSError:
                # No room in the card: lost.
                pass
