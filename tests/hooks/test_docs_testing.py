"""docs/testing.md to the letter: its files in an empty folder, and its tests upon them."""

import os
import re
import subprocess
import sys

from tests.deploy import ROOT

FILES = re.compile(r'^`([^`]+)`:\n\n```\w*\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def run(folder, *options):
    return subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', *options, 'test_my_charm.py'],
        cwd=str(folder),
        env={'PATH': os.environ['PATH'], 'PYTHONPATH': 'layer-coordinator'},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_charm_and_the_tests_of_docs_testing_run_as_written(tmp_path):
    (tmp_path / 'layer-coordinator').symlink_to(ROOT)
    text = (ROOT / 'docs' / 'testing.md').read_text(encoding='utf-8')
    for name, content in FILES.findall(text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    ran = run(tmp_path)

    assert ran.returncode == 0, ran.stdout
    assert '10 passed' in ran.stdout

    handlers = tmp_path / 'my-charm' / 'reactive' / 'my_charm.py'
    handlers.write_text(
        handlers.read_text().replace('check_call', 'call')
    )  # a restart that fails goes unnoticed

    assert '2 failed' in run(tmp_path, '-k', 'retried').stdout
