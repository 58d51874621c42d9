"""How often Python looks for cycles of objects that nothing else refers to.

Belongs here: the one setting of it, for programs that make millions of objects and keep most of them.
"""

import gc

# Python's own 700 suits programs of a few thousand objects. With this, importing Great Expectations is a fifth cheaper,
# a build of dbt's models a tenth, a run a twentieth.
_NEW_OBJECTS = 50_000


def collect_rarely() -> None:
    """Take what exists by now as what stays, and look for cycles among newer objects once there are many."""
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 20, 20)
