"""The peer relation's class, which does nothing on purpose.

charms.reactive looks for one and logs an error in every hook where it finds
none. An `Endpoint` would read the data of every peer in each of this
relation's hooks: N calls a hook. And a name it answers to would be passed as
an argument to every handler of a `coordinator.…` flag.
"""

from charms.reactive.relations import RelationFactory


class CoordinatorPeers(RelationFactory):
    """Answers to no name and no flag; the layer reads what it needs itself."""

    @classmethod
    def from_name(cls, name):
        """Return None: there is no object for this relation."""
        return None

    from_flag = from_name
