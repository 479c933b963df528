import subprocess
import sys
from pathlib import Path

from core.locks import held

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from core.locks import held
with held(Path(sys.argv[1])) as is_ours:
    print(is_ours, flush=True)
    time.sleep(60)
"""


def test_one_process_has_it_and_its_end_frees_it(tmp_path):
    path = tmp_path / "new folder" / "some.lock"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )

    assert other.stdout.readline() == "True\n"
    with held(path) as is_ours:
        assert not is_ours
    other.kill()
    other.communicate()

    with held(path) as is_ours:
        assert is_ours
    with held(path) as is_ours:
        assert is_ours
