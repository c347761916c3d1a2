"""What methods may be of, in the order in which lists and tables have them.

Here because methods and results both read it, and neither imports the other.
"""

from __future__ import annotations

KINDS = ("reference", "logit", "feature", "relation", "contrastive", "mutual", "self", "ours")
