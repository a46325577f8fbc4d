"""The interface of the Decent Cloud canister, as far as the stand-in offers it."""

from __future__ import annotations

from sync_pipelines.sandbox.internet_computer.candid_types import (
    BLOB,
    BOOL,
    INT,
    NAT,
    NAT32,
    TEXT,
    Opt,
    Record,
    Variant,
    Vec,
    tuple_of,
)

DATA_FETCH_ARGUMENTS = (Opt(TEXT), Opt(BLOB))
DATA_FETCH_RESULT = Variant({"Ok": tuple_of(TEXT, BLOB), "Err": TEXT})

METADATA_VALUE = Variant({"Nat": NAT, "Int": INT, "Text": TEXT, "Blob": BLOB})
METADATA_RESULT = Vec(tuple_of(TEXT, METADATA_VALUE))

NEXT_BLOCK_ARGUMENTS = (Opt(TEXT), Opt(NAT32), Opt(NAT32))
ENTRY = Record({"label": TEXT, "key": BLOB, "value": BLOB})
NEXT_BLOCK_RESULT = Record({"entries": Vec(ENTRY), "has_more": BOOL, "total_count": NAT32})
