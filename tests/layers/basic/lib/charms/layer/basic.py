"""The flags config.changed and config.changed.OPTION, set for one hook."""


def init_config_states():
    from charmhelpers.core import hookenv
    from charms.reactive import set_flag

    config = hookenv.config()
    for option in sorted(config):
        if config.changed(option):
            set_flag('config.changed')
            set_flag('config.changed.' + option)


def clear_config_states():
    from charmhelpers.core import unitdata
    from charms.reactive import clear_flag, get_flags

    for flag in get_flags():
        if flag.startswith('config.changed'):
            clear_flag(flag)
    unitdata.kv().flush()


def activate_venv():
    """Do nothing: this stand-in has no virtual environment. The real one runs the program again in it."""
