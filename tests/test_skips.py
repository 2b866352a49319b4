"""The rule of conftest.py that CI skips nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPPED = {
    "a test": "import pytest\n\ndef test_one():\n    pytest.skip('no aria2c here')\n",
    "a marked test": (
        "import pytest\n\n@pytest.mark.skip(reason='no aria2c here')\ndef test_one():\n    pass\n"
    ),
    "a module": "import pytest\npytest.skip('no aria2c here', allow_module_level=True)\n",
}


@pytest.mark.room
def test_a_skip_is_a_failure_in_ci_and_says_its_reason(tmp_path: Path) -> None:
    for name in ("conftest.py", "machines.py"):
        shutil.copy(Path(__file__).with_name(name), tmp_path)
    for number, source in enumerate(SKIPPED.values()):
        (tmp_path / f"test_skipping{number}.py").write_text(source)
    (tmp_path / "test_passing.py").write_text("def test_one():\n    pass\n")

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "CI"}
        environment |= {"PYTHONPATH": str(Path(__file__).parents[1])} | more
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--continue-on-collection-errors",
        ]
        return subprocess.run(
            [*command, "--rootdir", tmp_path, tmp_path], env=environment, capture_output=True, text=True
        )

    assert run().returncode == 0
    in_ci = run(CI="true")
    assert in_ci.returncode == 1
    assert "nothing may be skipped in CI: Skipped: no aria2c here" in in_ci.stdout
    assert (
        "1 failed, 1 passed, 2 errors" in in_ci.stdout
    )  # a mark skips in the set-up, a module as it is read
