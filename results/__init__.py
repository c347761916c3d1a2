"""Records in; tables, statistics and figures out. Knows neither torch nor what made the records.

Entries become a table (`kdbench.results.tables`), tables become sheets and pages (`pages`), those become text
(`render`) or a figure (`figures`)::

    from kdbench.results.pages import scores_page
    from kdbench.results.render import page_text

    print(page_text(scores_page(entries, asked=asked, version="1")))

Here is what records and entries are made of, which loads no library.
"""

from kdbench.results.entry import Asked, Entry, Freshness, Status
from kdbench.results.place import Place, RowRole
from kdbench.results.record import SCHEMA, Record

__all__ = ["SCHEMA", "Asked", "Entry", "Freshness", "Place", "Record", "RowRole", "Status"]
