"""What is looked at: one observer a type of SLA, below the record of the type, over read-only transactions.

Belongs here: observers and the records of their types; every module of this folder is loaded with the SLAs, so that a
type in a new file is known. Does not belong here: judging (sla/engine), limits (slas/*.yaml).
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)
