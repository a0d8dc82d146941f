"""Charms and models of the local Juju's own tests."""

import pytest

from jujusim.juju import Juju
from jujusim.tests.scripts import HEAD, METADATA, REMOTE_CONTROL, forget


@pytest.fixture
def model():
    """Makes models, and closes them after the test. A hook is a process, unless a test says quick=True."""
    made = []

    def make(charm, **options):
        options.setdefault('config', {'go': 0})
        juju = Juju(charm, **options)
        made.append(juju)
        return juju

    yield make
    for juju in made:
        juju.close()


@pytest.fixture
def charm(tmp_path):
    """Makes a charm of scripts: hooks by their name, actions as `actions/NAME`; and of other files."""

    def make(scripts, files=None):
        top = tmp_path / 'charm'
        for name, body in {**REMOTE_CONTROL, **scripts}.items():
            path = top / (name if '/' in name else 'hooks/' + name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(HEAD + body)
        for name, text in {'metadata.yaml': METADATA, **(files or {})}.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return top

    return make


@pytest.fixture
def deployed(model, charm):
    """Makes a model of such a charm; what happened until it came to rest is forgotten.

    A configuration runs config-changed once, also on Juju 4: scripts that count need no second one.
    """

    def make(juju, scripts=None, units=2, files=None, twice=False, **options):
        made = model(charm(scripts or {}, files), units=units, juju=juju, **options)
        made.configured_twice = twice
        made.run()
        forget(made)
        return made

    return make


@pytest.fixture
def shells(model, charm):
    """Makes models of a charm whose config-changed is a script of a shell, and `other` a Python hook.

    What happened until the model came to rest is forgotten; then its configuration changes.
    """

    def make(script, juju=3, other='note("other")', units=1, scripts=None, files=None, **options):
        own = {
            'hooks/config-changed': '#!/bin/sh\n[ -e go ] || exit 0\n' + script,
            'hooks/other': '#!/usr/bin/env python3\n' + HEAD + other,
            'go': '',
            **(files or {}),
        }
        top = charm(scripts or {}, own)
        for name, text in own.items():
            (top / name).chmod(0o755 if text.startswith('#!') else 0o644)
        (top / 'go').unlink()
        made = model(top, units=units, juju=juju, **options)
        made.configured_twice = False
        made.run()
        forget(made)
        made.costs.clear()
        for unit in made.units:
            (made._charm_dir(unit) / 'go').write_text('')
        made.configure(go=1)
        return made

    return make


@pytest.fixture(params=[False, True], ids=['processes', 'quick'])
def quick(request):
    return request.param
