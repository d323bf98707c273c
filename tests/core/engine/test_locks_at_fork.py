"""A child forked while another thread holds a lock of the engine: it must not wait for that thread."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system has no fork")

CHILD = """
child = os.fork()
if child == 0:
    use()
    os._exit(0)
for _ in range(50):
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        print(os.waitstatus_to_exitcode(status))
        break
    time.sleep(0.1)
else:
    os.kill(child, 9)
    print("the child hangs")
"""
HELD = {
    "default engine": """
from tamis.engine import shared
shared._held.lock.acquire()
use = shared.default_engine
""",
    "pace": """
from tamis.engine.pace import Pace
pace = Pace()
pace._lock.acquire()
use = pace.book
""",
    "cancellation": """
from tamis.engine.cancel import Cancellation
token = Cancellation()
token._lock.acquire()
use = token.cancel
""",
}


@pytest.mark.parametrize("held", HELD)
def test_a_child_does_not_wait_for_a_lock_of_the_parent(held: str) -> None:
    code = "import os, time\n" + HELD[held] + CHILD
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "0", done.stderr[-500:]
