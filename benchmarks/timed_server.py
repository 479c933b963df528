"""``streamlit run`` with a stopwatch around each run of a page's script.

Capista itself runs as it is, and everything is started as ``streamlit run`` starts it; only
Streamlit's own method that runs a script is wrapped. Where and how long is in ``SCRIPT_TIMES``:
one line for each run, in seconds.
"""

import os
import sys
import time

from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.web import cli

_run_script = ScriptRunner._run_script


def _timed(self: ScriptRunner, rerun_data: RerunData) -> None:
    start = time.perf_counter()
    _run_script(self, rerun_data)
    taken = time.perf_counter() - start
    with open(os.environ["SCRIPT_TIMES"], "a") as file:
        file.write(f"{taken}\n")


if __name__ == "__main__":
    ScriptRunner._run_script = _timed  # type: ignore[method-assign]
    sys.argv = ["streamlit", "run", *sys.argv[1:]]
    cli.main()
