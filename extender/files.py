"""Objects from YAML files: a file, or every file of a folder; a file may hold several documents or a List."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from extender.settings_file import SettingsError

Object = dict[str, Any]


def objects_in(path: Path) -> list[Object]:
    """
    Reads all objects of a file or folder, in the order of file names.

    Raises:
        SettingsError: there is no such file, or one is no YAML of Kubernetes objects.
    """
    if not path.exists():
        raise SettingsError(f"{path}: there is no such file or folder")
    files = (
        sorted(file for file in path.iterdir() if file.suffix in {".yaml", ".yml", ".json"})
        if path.is_dir()
        else [path]
    )
    return [item for file in files for item in _objects(file)]


def _objects(file: Path) -> list[Object]:
    try:
        documents = list(yaml.load_all(file.read_text(encoding="utf-8"), Loader=_LOADER))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None
    found = []
    for document in filter(None, documents):
        items = document.get("items") if isinstance(document, dict) else None
        for item in [document] if items is None else items:
            if not isinstance(item, dict) or not isinstance(item.get("metadata"), dict) or "kind" not in item:
                raise SettingsError(f"{file}: {str(item)[:60]!r} is no Kubernetes object with kind and metadata")
            found.append(item)
    return found


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
