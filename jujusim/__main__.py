"""`python -m jujusim juju VERB ...`: the local Juju answers to Juju's own command line."""

import sys

from jujusim.cli.client import main

if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
