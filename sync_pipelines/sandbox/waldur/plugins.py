"""Offering types a Waldur 7.0.7 server registers, with the components that some of them bring along."""

from __future__ import annotations

from typing import Any

from sync_pipelines.sandbox.waldur.model import Component

_Builtin = tuple[str, str, str, str, dict[str, Any]]


def _limits(*rows: tuple[str, str, str, int]) -> list[_Builtin]:
    return [
        (kind, name, unit, "limit", {"limit_period": "month", "factor": factor}) for kind, name, unit, factor in rows
    ]


def _slurm(*rows: tuple[str, str, str, int]) -> list[_Builtin]:
    return [
        (kind, name, unit, "usage", {"limit_period": "total", "limit_amount": amount, "factor": 1})
        for kind, name, unit, amount in rows
    ]


_PLUGINS: dict[str, tuple[list[_Builtin], list[str]]] = {
    "LEXIS": ([], []),
    "Marketplace.Booking": ([], []),
    "Marketplace.Basic": ([], []),
    "Azure.VirtualMachine": ([], []),
    "Azure.SQLServer": ([], []),
    "OpenStack.Tenant": (
        _limits(("cores", "Cores", "cores", 1), ("ram", "RAM", "GB", 1024), ("storage", "Storage", "GB", 1024)),
        ["ram", "cores", "storage"],
    ),
    "OpenStack.Instance": ([], []),
    "OpenStack.Volume": ([], []),
    "Marketplace.Rancher": ([("node", "K8S node", "nodes", "usage", {"factor": 1})], []),
    "Waldur.RemoteOffering": ([], []),
    "Marketplace.Script": ([], []),
    "SlurmInvoices.SlurmPackage": (
        _slurm(("cpu", "CPU", "hours", 267), ("gpu", "GPU", "hours", 7), ("ram", "RAM", "GB-hours", 1667)),
        [],
    ),
    "Marketplace.Slurm": ([], []),
    "Support.OfferingTemplate": ([], []),
    "VMware.VirtualMachine": (
        _limits(("cpu", "CPU", "vCPU", 1), ("ram", "RAM", "GB", 1024), ("disk", "Disk", "GB", 1024)),
        [],
    ),
}

OFFERING_TYPES = frozenset(_PLUGINS)


def builtin_components(offering_type: str) -> list[Component]:
    """Fresh components an offering of this type has from the start."""
    return [
        Component(type=kind, name=name, measured_unit=unit, billing_type=billing, is_builtin=True, **details)
        for kind, name, unit, billing, details in _PLUGINS[offering_type][0]
    ]


def describe_plugins() -> list[dict[str, Any]]:
    """Body of ``GET /api/marketplace-plugins/``."""
    return [
        {
            "offering_type": offering_type,
            "components": [
                {"type": kind, "name": name, "measured_unit": unit, "billing_type": billing}
                for kind, name, unit, billing, _ in components
            ],
            "available_limits": limits,
        }
        for offering_type, (components, limits) in _PLUGINS.items()
    ]
