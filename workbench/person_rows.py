"""One person in a store, found by hashes of ids in memory: nobody else's ids or rows are read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from glob import escape

from queries.finding import Known
from queries.quoting import quote_identifier, quote_literal
from workbench.sources.relation import Relation
from workbench.store.events import StoredEvents

_HASHES = "id_hashes"
_MOST_NEAR = 1000
"""Past so many combinations beside one id all of them are looked through."""


class PersonRows:
    """What one store has of one person, or of whoever has an id.

    Hashes only say where to look: the ids themselves are read and compared.
    """

    def __init__(
        self,
        stored: StoredEvents,
        relation: Relation,
        execute: Callable[[str], None],
        fetch: Callable[[str], list[tuple[object, ...]]],
    ) -> None:
        """``execute`` and ``fetch`` run statements; the hashes are read at the first question."""
        self._stored, self._relation, self._execute, self._fetch = stored, relation, execute, fetch
        path = escape(str(stored.root / stored.manifest.combos))
        self._combos = f"read_parquet({quote_literal(path)})"
        self._kinds = range(len(relation.ids))
        self._is_read = False

    def neighbours(self, id: str) -> list[Known] | None:
        """The combinations of the people on whose events an id stands, and all that carry an id of theirs.

        None where they are too many to be listed.
        """
        self._read()
        wanted = f"hash({quote_literal(id)})"
        found = self._hashed(f"h{place} = {wanted}" for place in self._kinds)
        people = {person for _, person in found if person is not None}
        found |= self._beside("person", people)
        # Of an id that several share time decides, and events of theirs carry other ids.
        found |= self._beside("combo", {combo for combo, person in found if person is None})
        if len(found) > _MOST_NEAR:
            return None
        return self._known(sorted(combo for combo, _ in found))

    def events(self, person: int, known: Sequence[Known]) -> str:
        """All events of a person, who has no other combinations than these, as text after FROM."""
        columns, mark, rows = self._stored.events_sql(self._relation, ids=False).rpartition(" FROM ")
        marked = f"{columns}, {self._ids('its')}{mark}{rows}"
        return f"({marked}\nJOIN {self._listed(known)} ON its.combo = stored.combo\nWHERE stored.person = {person})"

    def _listed(self, known: Sequence[Known]) -> str:
        """Combinations as a relation ``its``."""
        rows = ", ".join(
            f"({one.number}, {', '.join('NULL' if id is None else quote_literal(id) for id in one.raw)})"
            for one in known
        )
        names = ", ".join(quote_identifier(name) for name in self._relation.ids)
        texts = ", ".join(
            f"CAST({quote_identifier(name)} AS VARCHAR) AS {quote_identifier(name)}"
            for name in self._relation.ids
        )
        return f"(SELECT combo, {texts} FROM (VALUES {rows}) AS listed(combo, {names})) AS its"

    def _ids(self, of: str) -> str:
        return ", ".join(f"{of}.{quote_identifier(name)}" for name in self._relation.ids)

    def _read(self) -> None:
        """Makes the table of hashes."""
        if self._is_read:
            return
        # A column without NULL is looked through five times as fast: nothing is what a missing id has.
        hashes = ", ".join(
            f"CASE WHEN c{place} IS NULL THEN 0 ELSE hash(c{place}) END AS h{place}" for place in self._kinds
        )
        self._execute(
            f"CREATE OR REPLACE TABLE {_HASHES} AS\nSELECT combo, person, {hashes} FROM {self._combos}"
        )
        self._is_read = True

    def _beside(self, column: str, codes: Collection[int]) -> set[tuple[int, int | None]]:
        """The combinations that carry an id of those of some people, or of some combinations."""
        if not codes or len(codes) > _MOST_NEAR:
            return set()
        theirs = f"{column} IN ({', '.join(map(str, codes))})"
        return self._hashed(
            f"h{place} IN (SELECT h{place} FROM {_HASHES} WHERE {theirs} AND h{place} <> 0)"
            for place in self._kinds
        )

    def _hashed(self, conditions: Iterable[str]) -> set[tuple[int, int | None]]:
        """Code and person of the combinations that meet any of some conditions."""
        # Conditions that each look at one column are quicker apart than together.
        parts = [f"SELECT combo, person FROM {_HASHES} WHERE {one}" for one in conditions]
        sql = f"{' UNION ALL '.join(parts)} LIMIT {len(parts) * (_MOST_NEAR + 1)}"
        return {(int(str(combo)), _code(person)) for combo, person in self._fetch(sql)}

    def _known(self, combos: Sequence[int]) -> list[Known]:
        if not combos:
            return []
        count = len(self._relation.ids)
        raw = ", ".join(quote_identifier(name) for name in self._relation.ids)
        clean = ", ".join(f"c{place}" for place in self._kinds)
        sql = (
            f"SELECT combo, person, key, shared, raw_events, {raw}, {clean} FROM {self._combos}\n"
            f"WHERE combo IN ({', '.join(map(str, combos))})"
        )
        return [
            Known(
                number=int(str(combo)),
                person=_code(person),
                key=None if key is None else str(key),
                shared=_code(shared),
                events=int(str(events)),
                raw=tuple(None if one is None else str(one) for one in ids[:count]),
                clean=tuple(None if one is None else str(one) for one in ids[count:]),
            )
            for combo, person, key, shared, events, *ids in self._fetch(sql)
        ]


def _code(value: object) -> int | None:
    return None if value is None else int(str(value))
