"""The section of jujusim/README.md on Juju's command line, to the letter."""

import re

from jujusim.cli.known import VERBS

FILES = re.compile(r'^`(db/[^`]+)`[^`\n]*:\n\n```\w*\n(.*?)^```$', re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r'^\$ (.*)\n((?:(?!\$ ).*\n)*)', re.MULTILINE)


def test_the_transcript_of_the_readme_is_what_its_commands_print(shell, readme, tmp_path):
    for name, text in FILES.findall(readme):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    transcript = readme.split('```console\n')[1].split('```')[0]
    commands = COMMAND.findall(transcript)

    assert len(commands) == 9
    said = ''.join('$ {}\n{}'.format(command, shell(command).stdout) for command, _ in commands)
    assert said == transcript


def test_every_verb_that_is_known_is_in_the_table_of_the_readme(readme):
    table = readme.split('| verbs | known here |')[1].split('\n\n')[0]
    named = {word for row in re.findall(r'^\| ([^|]*) \|', table, re.MULTILINE) for word in row.split(', ')}

    assert named - {'---'} == set(VERBS)
