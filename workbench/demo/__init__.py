"""The shop simulator: a demo workspace whose rows are the same everywhere and whose truths are known.

``write_demo`` is the door. The core: ``catalogue`` (what is sold and searched), ``traffic`` (channels and what a
visit costs), ``people`` (who comes, on which devices), ``visits`` and ``sessions`` (what a visit does), ``orders``
(carts that are paid, lines, refunds), ``ledger`` (what all topics count), ``shop`` (day after day). What is
planted in it stands in ``topics``, a module each, with ``scripts`` for people who are planted whole and ``waves``
for events put into sessions.
"""

from __future__ import annotations

from workbench.demo.writing import LARGEST, SMALLEST, DemoSummary, write_demo

__all__ = ["LARGEST", "SMALLEST", "DemoSummary", "write_demo"]
