"""The OpenAPI document of the service, written out: https://spec.openapis.org/oas/v3.1.0."""

from __future__ import annotations

from typing import Any

import dojang
from dojang.serve.limits import ROWS, Limits

_ERRORS = {
    "400": "A body or form that cannot be read.",
    "401": "No token, or a wrong one.",
    "408": "A request that arrived too slowly.",
    "413": "A body, a picture or a number of pictures beyond its limit.",
    "415": "A body that is no picture.",
    "421": "A Host header that is not this machine's.",
    "422": "A picture that is cut or broken.",
    "429": "Too many wait; Retry-After says when to ask again.",
    "431": "Headers beyond their limit.",
    "500": "Something went wrong inside; the request's id is in the log.",
    "503": "Stopping, or not ready.",
    "504": "No answer before the deadline.",
}


def document(limits: Limits, *, token: bool) -> dict[str, Any]:
    """The document, as plain values.

    Args:
        token: Whether requests must bring one.
    """
    refused = {"$ref": "#/components/schemas/Refusal"}
    errors = {
        code: {"description": told, "content": {"application/json": {"schema": refused}}}
        for code, told in _ERRORS.items()
        if token or code != "401"
    }
    errors["429"]["headers"] = errors["503"]["headers"] = {
        "Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
    }
    paths: dict[str, Any] = {
        "/predict": {
            "post": {
                "summary": "Answers for one picture (the body) or several (parts of a form).",
                "operationId": "predict",
                "requestBody": {
                    "required": True,
                    "content": {
                        "image/*": {"schema": {"type": "string", "format": "binary"}},
                        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                        "multipart/form-data": {
                            "schema": {
                                "type": "object",
                                "required": ["image"],
                                "properties": {
                                    "image": {
                                        "type": "array",
                                        "maxItems": limits.pictures,
                                        "items": {"type": "string", "format": "binary"},
                                    }
                                },
                            }
                        },
                    },
                },
                "responses": {"200": _json("An answer for each picture, in order.", "Answers")} | errors,
            }
        },
        "/model": {
            "get": _get("model", "The network: labels, preprocessing, layers.", _json("The network.", "Model"), errors)
        },
        "/healthz": {"get": _get("healthz", "Whether the service runs.", _json("It does.", "State"), {})},
        "/readyz": {
            "get": _get(
                "readyz",
                "Whether it answers now.",
                _json("It does.", "State"),
                {"503": _json("It does not: it begins, stops, or its worker is begun anew.", "State")},
            )
        },
        "/metrics": {
            "get": _get(
                "metrics",
                "What is counted, for Prometheus.",
                {"description": "Text.", "content": {"text/plain": {"schema": {"type": "string"}}}},
                {code: errors[code] for code in ("401",) if code in errors},
            )
        },
        "/openapi.json": {
            "get": _get(
                "openapi",
                "This document.",
                {"description": "It.", "content": {"application/json": {"schema": {"type": "object"}}}},
                {},
            )
        },
    }
    paths["/model"]["get"]["responses"] = {
        code: told for code, told in paths["/model"]["get"]["responses"].items() if code in ("200", "401")
    }
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "dojang serve", "version": dojang.__version__, "description": _limits(limits)},
        "paths": paths,
        "components": {"schemas": _SCHEMAS},
    }
    if token:
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path in ("/predict", "/model", "/metrics"):
            for operation in paths[path].values():
                operation["security"] = [{"token": []}]
    return made


def _limits(limits: Limits) -> str:
    rows = [f"- {row.name}: {getattr(limits, row.name):,g} {row.unit}, {row.what}" for row in ROWS]
    return "\n".join(["Limits:", *rows])


def _json(told: str, schema: str) -> dict[str, Any]:
    return {
        "description": told,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _get(name: str, told: str, answer: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    return {"summary": told, "operationId": name, "responses": {"200": answer} | others}


def _object(required: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": required | more}


_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_TEXT = {"type": "string"}
_ERROR = {"$ref": "#/components/schemas/Error"}
_SCHEMAS: dict[str, Any] = {
    "Answer": _object(
        {
            "source": {"type": "string", "description": "The file name that came with the picture."},
            "label": {"type": "string", "description": "The most probable class."},
            "probability": _SHARE,
            "unknown": {"type": "boolean", "description": "The picture seems to be none of the classes."},
            "familiarity": {
                "anyOf": [_SHARE, {"type": "null"}],
                "description": "The share of validation pictures that lie at least as far from all classes.",
            },
            "probabilities": {
                "type": "object",
                "additionalProperties": _SHARE,
                "description": "Calibrated, by label; they sum to 1.",
            },
        }
    ),
    "Error": _object({"code": {"type": "string", "pattern": "^[A-Z][0-9]{3}$"}, "message": _TEXT, "fix": _TEXT}),
    "Refused": _object({"source": _TEXT, "error": _ERROR}),
    "Refusal": _object({"error": _ERROR, "request_id": _TEXT}),
    "Timing": _object(
        {name: {"type": "number", "minimum": 0} for name in ("queue_ms", "decode_ms", "network_ms", "total_ms")}
    ),
    "Answers": _object(
        {
            "answers": {
                "type": "array",
                "minItems": 1,
                "items": {"anyOf": [{"$ref": "#/components/schemas/Answer"}, {"$ref": "#/components/schemas/Refused"}]},
            },
            "timing": {"$ref": "#/components/schemas/Timing"},
            "request_id": _TEXT,
        }
    ),
    "Model": _object(
        {
            "dojang": _TEXT,
            "task": _TEXT,
            "network": _TEXT,
            "parameters": {"type": "integer"},
            "labels": {"type": "array", "items": _TEXT},
            "input": _object(
                {side: {"type": "integer"} for side in ("height", "width", "channels")}
                | {"mode": {"enum": ["L", "RGB"]}}
            ),
            "preprocess": {"type": "array", "items": _TEXT},
            "temperature": {"type": "number"},
            "unknown": _object({"none_of_these": {"type": "boolean"}, "below": {"anyOf": [_SHARE, {"type": "null"}]}}),
            "layers": {
                "type": "array",
                "items": _object(
                    {
                        "path": _TEXT,
                        "name": _TEXT,
                        "kind": _TEXT,
                        "shape": {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]},
                    }
                ),
            },
        }
    ),
    "State": _object({"status": {"enum": ["ok", "ready", "not ready", "stopping"]}}),
}
