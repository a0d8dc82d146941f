"""Programs of the local Juju's machines for `make on-juju LOCAL=4`."""


def machine(unit, argv):
    """Return how long a program takes, and its exit code; the example's work is a `sleep`."""
    if argv[0] == 'sleep':
        return float(argv[1]), 0
    return (0.0, 0) if argv[0] == 'systemctl' else None
