"""What a launch says of the code that it runs, beside the code that ran before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from search.launch.changes import changes_since
from storage import Store

from ..conftest import PROVENANCE
from ..results_store import begin_launch

Code = tuple[str | None, bool | None]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (("a" * 40, False), ("a" * 40, False), None),
        ((None, None), (None, None), None),
        (("a" * 40, False), ("b" * 40, False), f"{'a' * 12}, now {'b' * 12}"),
        ((None, None), ("b" * 40, False), f"no git checkout, now {'b' * 12}"),
        (
            ("a" * 40, False),
            ("a" * 40, True),
            f"{'a' * 12}, now {'a' * 12} with uncommitted changes",
        ),
        (
            ("a" * 40, True),
            ("a" * 40, True),
            f"{'a' * 12} with uncommitted changes, which may be other changes now",
        ),
    ],
)
def test_other_code_is_said(before: Code, after: Code, said: str | None, store: Store) -> None:
    begin_launch(store, git_commit=before[0], git_dirty=before[1])
    (earlier,) = store.launches()
    code = replace(PROVENANCE, git_commit=after[0], git_dirty=after[1])
    expected = [] if said is None else [f"code: {said}"]
    assert changes_since(earlier, earlier.config, code) == expected
