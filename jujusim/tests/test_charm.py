"""Charms put together from layers."""

import os

import pytest
import yaml

from jujusim.charm import assemble


@pytest.fixture
def layers(tmp_path):
    """Two layers, of which `upper` includes `base`."""
    texts = {
        'base/layer.yaml': 'includes: []\ndefines: {loud: {type: boolean, default: false}}\n',
        'base/hooks/hook.template': 'template\n',
        'base/hooks/start': 'of base\n',
        'base/config.yaml': 'options: {one: {default: 1}}\n',
        'upper/layer.yaml': 'includes: ["layer:base", "interface:ring"]\ndefines: {size: {default: 3}}\n',
        'upper/metadata.yaml': 'peers: {ring: {interface: ring}}\n',
        'upper/lib/charms/layer/upper.py': '',
        'charm/layer.yaml': 'includes: ["layer:upper"]\noptions: {upper: {size: 5}}\n',
        'charm/metadata.yaml': 'name: app\n',
        'charm/config.yaml': 'options: {two: {default: 2}}\n',
        'charm/hooks/start': 'of the charm\n',
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {'layer:base': tmp_path / 'base', 'layer:upper': tmp_path / 'upper'}


def read(path):
    return yaml.safe_load(path.read_text())


def test_files_of_upper_layers_replace_those_of_lower_ones_and_yaml_is_merged(tmp_path, layers):
    built = assemble(tmp_path / 'charm', tmp_path / 'built', layers)

    assert (built / 'hooks' / 'start').read_text() == 'of the charm\n'
    assert (built / 'lib' / 'charms' / 'layer' / 'upper.py').exists()
    assert read(built / 'config.yaml') == {'options': {'one': {'default': 1}, 'two': {'default': 2}}}
    assert read(built / 'metadata.yaml') == {'name': 'app', 'peers': {'ring': {'interface': 'ring'}}}


def test_each_endpoint_gets_its_relation_hooks_from_the_template(tmp_path, layers):
    built = assemble(tmp_path / 'charm', tmp_path / 'built', layers)

    for event in ('created', 'joined', 'changed', 'departed', 'broken'):
        assert (built / 'hooks' / 'ring-relation-{}'.format(event)).read_text() == 'template\n'


def test_a_relation_hook_that_a_layer_brings_is_kept_and_stays_executable(tmp_path, layers):
    own = tmp_path / 'upper' / 'hooks' / 'ring-relation-changed'
    own.parent.mkdir()
    own.write_text('#!/bin/sh\n')
    own.chmod(0o755)

    built = assemble(tmp_path / 'charm', tmp_path / 'built', layers) / 'hooks'

    assert (built / 'ring-relation-changed').read_text() == '#!/bin/sh\n'
    assert os.access(str(built / 'ring-relation-changed'), os.X_OK)
    assert (built / 'ring-relation-joined').read_text() == 'template\n'


@pytest.mark.parametrize(
    'options, size', [(None, 5), ({}, 5), ({'upper': {'size': 9}}, 9), ({'upper': {}}, 3)], ids=repr
)
def test_layer_options_are_the_ones_given_or_the_charms_or_the_defaults(tmp_path, layers, options, size):
    built = assemble(tmp_path / 'charm', tmp_path / 'built', layers, options)

    assert read(built / 'layer.yaml')['options'] == {'base': {'loud': False}, 'upper': {'size': size}}


def test_a_layer_that_was_not_given_is_named(tmp_path, layers):
    del layers['layer:base']

    with pytest.raises(ValueError, match='includes layer:base, which was not given'):
        assemble(tmp_path / 'charm', tmp_path / 'built', layers)
    assert not (tmp_path / 'built').exists()
