"""What every object of the API has."""

from __future__ import annotations

from typing import Any

from extender.wire import fields

Object = dict[str, Any]


def name_of(item: Object) -> str:
    """Returns an object's name."""
    return fields.text(fields.mapping(item.get("metadata"), "metadata").get("name"), "metadata.name")


def uid_of(item: Object) -> str:
    """Returns an object's uid, which is empty in objects that no API server has made."""
    return fields.text(fields.mapping(item.get("metadata"), "metadata").get("uid"), "metadata.uid", default="")


def owner_of(item: Object, kind: str) -> str:
    """Returns the uid of the object of a kind that owns this one; empty where there is none."""
    metadata = fields.mapping(item.get("metadata"), "metadata")
    for index, entry in enumerate(fields.sequence(metadata.get("ownerReferences"), "metadata.ownerReferences")):
        owner = fields.mapping(entry, f"metadata.ownerReferences[{index}]")
        if owner.get("kind") == kind:
            return fields.text(owner.get("uid"), f"metadata.ownerReferences[{index}].uid", default="")
    return ""
