"""Kubernetes manifests, checked by the schemas that kubernetes-validate carries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from deploy_checks.verdict import Missing, Refused

__all__ = ["documents", "mappings", "validate"]

_VERSIONS = ("1.30", "1.37")
_EXTERNAL = "external-secrets.io"

# kubernetes-validate has no custom resources, and the operator publishes no package with its schema. This is what our
# manifests use of ExternalSecret v1; True is required. https://external-secrets.io/latest/api/externalsecret/
_EXTERNAL_SECRET: dict[str, dict[str, bool]] = {
    "": {"apiVersion": True, "kind": True, "metadata": True, "spec": True},
    "spec": {"refreshInterval": False, "secretStoreRef": True, "target": False, "data": True},
    "spec.secretStoreRef": {"name": True, "kind": False},
    "spec.target": {"name": True, "creationPolicy": False, "deletionPolicy": False},
    "spec.data": {"secretKey": True, "remoteRef": True},
    "spec.data.remoteRef": {"key": True, "property": False, "version": False},
}


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, as the API server does; PyYAML would take the last one."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise Refused(f"line {node.start_mark.line + 1}: {', '.join(sorted(twice))} is there twice")
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def documents(file: Path) -> list[Any]:
    """The documents of a YAML file.

    Raises:
        Refused: it is no YAML, or has a key twice.
    """
    try:
        return [each for each in yaml.load_all(file.read_text(), _Loader) if each]
    except yaml.YAMLError as error:
        raise Refused(str(error)) from None


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping at any depth."""
    if isinstance(node, dict):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from mappings(each)


def validate(file: Path) -> None:
    """Check every document against the oldest and the newest version, strictly: an unknown field is an error.

    Raises:
        Refused: naming resource, field and reason.
        Missing: no kubernetes-validate.
    """
    try:
        import kubernetes_validate  # noqa: PLC0415 -- a development dependency
    except ModuleNotFoundError:
        raise Missing("kubernetes-validate (pip)") from None
    for document in documents(file):
        name = f"{document.get('kind')} {document.get('metadata', {}).get('name')}"
        if str(document.get("apiVersion")).startswith(_EXTERNAL):
            _external_secret(document, name)
            continue
        for version in _VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                where = ".".join(str(part) for part in error.path)
                raise Refused(f"{name}: {where}: {error.message} (Kubernetes {version})") from None
            except kubernetes_validate.SchemaNotFoundError as error:
                raise Refused(f"{name}: {error.message}") from None


def _external_secret(document: dict[str, Any], name: str) -> None:
    if document["apiVersion"] != f"{_EXTERNAL}/v1" or document["kind"] != "ExternalSecret":
        raise Refused(f"{name}: {document['apiVersion']} is not served; write {_EXTERNAL}/v1")
    for path, fields in _EXTERNAL_SECRET.items():
        found: list[Any] = [document]
        for part in filter(None, path.split(".")):
            found = [each[part] for each in found if part in each]
            found = [each for group in found for each in (group if isinstance(group, list) else [group])]
        for each in found:
            if unknown := each.keys() - fields.keys():
                raise Refused(f"{name}: {path or 'it'} has no field {', '.join(sorted(unknown))}")
            if absent := {field for field, required in fields.items() if required} - each.keys():
                raise Refused(f"{name}: {path or 'it'} lacks {', '.join(sorted(absent))}")
