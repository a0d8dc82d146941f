"""The program `juju`: a few verbs it answers by itself (`own.py`), all others the model's process."""

import os
import sys
from typing import List, Mapping, Sequence

from jujusim.cli.known import ALIASES, OF_THE_CLIENT, VERBS, WORDS_END_OPTIONS
from jujusim.cli.places import Models, ask, version_of
from jujusim.cli.words import Answer, Line, NotKnown, Refused, parse

STEP_S = 5.0


def main(argv: Sequence[str]) -> int:
    """Do one command; return its exit code."""
    words = list(argv)
    if words[:1] != ['juju']:
        sys.stderr.write('usage: python -m jujusim juju VERB ... | juju --write-script FILE\n')
        return 2
    found = run(words[1:], os.environ)
    sys.stdout.write(found.out)
    sys.stdout.flush()
    sys.stderr.write(found.err)
    return found.code


def run(words: List[str], environ: Mapping[str, str]) -> Answer:
    """Do one command and return what it says."""
    if words[:1] == ['--write-script'] and len(words) == 2:
        from jujusim.cli.own import write_script  # here, as below: it takes longer to import than a status

        return write_script(words[1])
    verb = ALIASES.get(words[0], words[0]) if words else ''
    line = Line(verb, {}, [])
    try:
        if verb not in VERBS:
            form = 'juju {}: not known here; known: {}'
            raise NotKnown(form.format(verb, ', '.join(sorted(VERBS))))
        version_of(environ)
        line = parse(verb, words[1:], VERBS[verb], os.getcwd(), verb not in WORDS_END_OPTIONS)
        models = Models(dict(environ))
        if verb in OF_THE_CLIENT:
            from jujusim.cli.own import OWN

            return OWN[verb](models, line, environ)
        return hand_over(models, line, [verb, *words[1:]], environ)
    except Refused as refused:
        out = '{}\n' if line.get('format') in ('json', 'yaml') else ''
        return Answer(out, 'ERROR {}\n'.format(refused), 1)
    except NotKnown as unknown:
        return Answer('', 'jujusim: {}\n'.format(unknown), 2)


def hand_over(models: Models, line: Line, argv: List[str], environ: Mapping[str, str]) -> Answer:
    """Let the model's process do a command."""
    about = models.about(models.found(line.get('model')))
    step = environ.get('JUJUSIM_STEP_S') or str(STEP_S)
    try:
        request = {'argv': argv, 'folder': os.getcwd(), 'step': float(step)}
    except ValueError:
        raise NotKnown('JUJUSIM_STEP_S: expected seconds, found {}'.format(step)) from None
    return Answer(**ask(about, request))
