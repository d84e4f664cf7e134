"""Runs a program on a terminal of its own. Usage: terminal.py WANTED TIMES ACT PROGRAM [ARGUMENT...]

When the program has shown WANTED so many times, ACT is done: `key:71` types the characters with these numbers (in
hexadecimal), `signal:15` sends a signal. Prints everything that the program has shown, and ends with its exit code (128
and the signal's number); 99 when it does not end within the time.
"""
import os
import pty
import select
import struct
import sys
import termios
import time
from fcntl import ioctl

LIMIT_S = 40
ROWS, COLUMNS = 30, 100

wanted, times, act, command = sys.argv[1].encode(), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
shown, acted, end = b"", False, time.monotonic() + LIMIT_S
while time.monotonic() < end:
    ready, _, _ = select.select([terminal], [], [], 0.1)
    if ready:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # The program has ended.
            break
        if not piece:
            break
        shown += piece
    if not acted and shown.count(wanted) >= times:
        kind, value = act.split(":")
        if kind == "key":
            os.write(terminal, bytes.fromhex(value))
        else:
            os.kill(pid, int(value))
        acted = True
else:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    sys.stdout.buffer.write(shown)
    sys.exit(99)
modes = termios.tcgetattr(terminal)
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.stdout.buffer.write(b"\nECHO %d" % bool(modes[3] & termios.ECHO))
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
