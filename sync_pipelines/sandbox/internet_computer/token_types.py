"""The interface of a plain token ledger: ICRC-1's queries and ICRC-3's."""

from __future__ import annotations

from sync_pipelines.sandbox.internet_computer.candid_types import (
    BLOB,
    INT,
    NAT,
    NAT8,
    PRINCIPAL,
    TEXT,
    Named,
    Opt,
    QueryFunc,
    Record,
    Variant,
    Vec,
    tuple_of,
)

VALUE = Named("Value")
VALUE.meaning.append(
    Variant(
        {
            "Nat": NAT,
            "Int": INT,
            "Text": TEXT,
            "Blob": BLOB,
            "Array": Vec(VALUE),
            "Map": Vec(tuple_of(TEXT, VALUE)),
        }
    )
)

ACCOUNT = Record({"owner": PRINCIPAL, "subaccount": Opt(BLOB)})
GET_BLOCKS_ARGUMENTS = Vec(Record({"start": NAT, "length": NAT}))
GET_BLOCKS_RESULT = Named("GetBlocksResult")
GET_BLOCKS_RESULT.meaning.append(
    Record(
        {
            "log_length": NAT,
            "blocks": Vec(Record({"id": NAT, "block": VALUE})),
            "archived_blocks": Vec(
                Record(
                    {
                        "args": GET_BLOCKS_ARGUMENTS,
                        "callback": QueryFunc((GET_BLOCKS_ARGUMENTS,), (GET_BLOCKS_RESULT,)),
                    }
                )
            ),
        }
    )
)
GET_ARCHIVES_ARGUMENTS = Record({"from": Opt(PRINCIPAL)})
GET_ARCHIVES_RESULT = Vec(Record({"canister_id": PRINCIPAL, "start": NAT, "end": NAT}))
TIP_CERTIFICATE_RESULT = Opt(Record({"certificate": BLOB, "hash_tree": BLOB}))
BLOCK_TYPES_RESULT = Vec(Record({"block_type": TEXT, "url": TEXT}))

METADATA_RESULT = Vec(tuple_of(TEXT, Variant({"Nat": NAT, "Int": INT, "Text": TEXT, "Blob": BLOB})))
STANDARDS_RESULT = Vec(Record({"name": TEXT, "url": TEXT}))
DECIMALS_RESULT = NAT8
