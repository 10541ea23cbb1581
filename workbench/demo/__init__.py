"""The shop simulator: a demo workspace whose rows are the same everywhere and whose truths are known.

``write_demo`` is the door. Each topic of the shop has a module of its own: ``catalogue`` (what is sold and
searched), ``traffic`` (channels and their costs), ``people`` (who comes, on which devices), ``sessions``
(what a visit does), ``orders`` (carts that are paid, lines, refunds), ``journeys`` (people who are planted
whole), ``ledger`` (what was planted, counted), ``truths`` (the sentences and commands that must find it).
"""

from __future__ import annotations

from workbench.demo.writing import LARGEST, SMALLEST, DemoSummary, write_demo

__all__ = ["LARGEST", "SMALLEST", "DemoSummary", "write_demo"]
