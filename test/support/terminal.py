"""Runs a program on a terminal of its own. Usage: terminal.py PROGRAM [ARGUMENT...]

What comes on standard input is typed on the terminal, what the program shows is written to standard output at once, and
SIGTERM is handed on. At the end it says on a line of its own whether the terminal still echoes what is typed (`ECHO 1`),
and ends with the program's exit code (128 and the signal's number); 99 when that does not end within the time.
"""
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from fcntl import ioctl

LIMIT_S = 60
ROWS, COLUMNS = 30, 100

command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
sources, end = [terminal, 0], time.monotonic() + LIMIT_S
while time.monotonic() < end:
    ready, _, _ = select.select(sources, [], [], 0.1)
    if 0 in ready:
        typed = os.read(0, 4096)
        if typed:
            os.write(terminal, typed)
        else:
            sources.remove(0)
    if terminal in ready:
        try:
            shown = os.read(terminal, 65536)
        except OSError:  # The program has ended.
            break
        if not shown:
            break
        os.write(1, shown)
else:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    sys.exit(99)
modes = termios.tcgetattr(terminal)
_, status = os.waitpid(pid, 0)
os.write(1, b"\nECHO %d" % bool(modes[3] & termios.ECHO))
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
