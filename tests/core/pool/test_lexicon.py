"""The lexicon of the process in a forked child: free to use, and whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system has no fork")

HALF_WAY = """
import os, threading, time
import tamis
from tamis.pool import lexicon as module
held = module.lexicon()
tamis.rerank("tall mountain", ["a tall tree", "a tall mountain"])
before = tamis.rerank("tall mountain", ["unheard words here", "a tall mountain again"]).positions
# as another thread leaves it in the middle of learning a chunk, with the lock held
held._lock.acquire()
held._members.append(0)
held._ends.append(len(held._members))
held._numbers["half"] = len(held.terms)
child = os.fork()
if child == 0:
    after = tamis.rerank("tall mountain", ["unheard words here", "a tall mountain again"]).positions
    fresh = tamis.rerank("new question", ["quite other words", "a new question, half"]).positions
    os._exit(0 if (after, fresh) == (before, (1, 0)) else 3)
for _ in range(200):
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        print(os.waitstatus_to_exitcode(status))
        break
    time.sleep(0.1)
else:
    os.kill(child, 9)
    print("the child hangs")
"""


def test_the_default_ranks_in_a_child_forked_while_another_thread_learns_words() -> None:
    done = subprocess.run([sys.executable, "-c", HALF_WAY], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.strip() == "0", done.stderr[-500:]
