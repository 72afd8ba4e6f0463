"""The structs of `_ffi` are those of the header: ffi/tests/layout.txt has every size and offset of the C compiler."""

import ctypes
import os
from pathlib import Path

import pytest

from imagxp import _ffi

LAYOUT = Path(os.environ.get("IMAGXP_LAYOUT") or Path(__file__).parents[3] / "ffi/tests/layout.txt")
# In two pieces here: the pointer and the length of an imagxp_str.
SPLIT = {("packed", "len")}
NAMES = {
    "View": "key_cache",
    "Sizes": "key_cache_sizes",
    "ReplayStats": "replay_stats",
    "ListedKey": "listed_key",
    "RevokedKey": "revoked_key",
    "PublishedKey": "published_key",
}


def structs():
    for name, kind in vars(_ffi).items():
        if isinstance(kind, type) and issubclass(kind, ctypes.Structure) and kind is not ctypes.Structure:
            yield NAMES.get(name) or name.lower(), kind


def test_every_struct_is_laid_out_as_in_c():
    if not LAYOUT.exists():
        pytest.skip("ffi/tests/layout.txt is not there: only the repository has it")
    rows = [line.split() for line in LAYOUT.read_text().splitlines()]
    sizes = {row[0]: int(row[1]) for row in rows if len(row) == 2}
    offsets = {row[0]: int(row[1]) for row in rows if len(row) == 3}
    for name, kind in structs():
        assert sizes[f"imagxp_{name}"] == ctypes.sizeof(kind), name
        for field, *_ in kind._fields_:
            if (name, field) not in SPLIT:
                assert offsets[f"imagxp_{name}.{field}"] == getattr(kind, field).offset, (name, field)
        members = [member for member in offsets if member.startswith(f"imagxp_{name}.")]
        split = sum(1 for owner, _ in SPLIT if owner == name)
        assert len(members) == len(kind._fields_) - split, name
