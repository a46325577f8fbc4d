"""Candid, the binary format of arguments and replies of canisters.

A codec of our own, because the one for Python does not bear bytes of strangers: that of icp-py-core 2.3 spends a minute
and 400 MB on nine bytes that declare a ``vec null`` of 20 million elements, does not come back from a table of 2^40
types, and overflows the stack on deep ones.
"""

from sync_pipelines.systems.internet_computer.candid.decoding import decode
from sync_pipelines.systems.internet_computer.candid.encoding import encode
from sync_pipelines.systems.internet_computer.candid.types import (
    BLOB,
    BOOL,
    EMPTY,
    FLOAT32,
    FLOAT64,
    INT,
    INT8,
    INT16,
    INT32,
    INT64,
    NAT,
    NAT8,
    NAT16,
    NAT32,
    NAT64,
    NULL,
    PRINCIPAL,
    RESERVED,
    TEXT,
    Func,
    Lazy,
    Opt,
    Type,
    Vec,
    field_id,
    record,
    tuple_of,
    variant,
)
from sync_pipelines.systems.internet_computer.candid.wire import CandidError

__all__ = [
    "BLOB",
    "BOOL",
    "EMPTY",
    "FLOAT32",
    "FLOAT64",
    "INT",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "NAT",
    "NAT8",
    "NAT16",
    "NAT32",
    "NAT64",
    "NULL",
    "PRINCIPAL",
    "RESERVED",
    "TEXT",
    "CandidError",
    "Func",
    "Lazy",
    "Opt",
    "Type",
    "Vec",
    "decode",
    "encode",
    "field_id",
    "record",
    "tuple_of",
    "variant",
]
