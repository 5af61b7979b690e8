"""The part of JSON Schema (draft 2020-12) that schemas/*.json use; any other keyword is an error."""
import re

_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
_NOTES = {"$schema", "title", "description"}


def _is(value, name):
    if name in ("integer", "number"):
        return isinstance(value, int if name == "integer" else (int, float)) and not isinstance(value, bool)
    return isinstance(value, _TYPES[name])


def violations(value, schema, path="$"):
    """One line for each place where `value` breaks `schema`."""
    found = []
    for keyword, rule in schema.items():
        if keyword == "type":
            names = rule if isinstance(rule, list) else [rule]
            if not any(_is(value, name) for name in names):
                return [f"{path}: found {type(value).__name__}, expected {' or '.join(names)}"]
        elif keyword == "const":
            if value != rule:
                found.append(f"{path}: found {value!r}, expected {rule!r}")
        elif keyword == "enum":
            if value not in rule:
                found.append(f"{path}: found {value!r}, expected one of {rule}")
        elif keyword == "pattern":
            if isinstance(value, str) and not re.search(rule, value):
                found.append(f"{path}: {value!r} does not match {rule}")
        elif keyword == "minimum":
            if isinstance(value, (int, float)) and value < rule:
                found.append(f"{path}: found {value}, expected at least {rule}")
        elif keyword == "required":
            if isinstance(value, dict):
                found += [f"{path}: {key} is missing" for key in rule if key not in value]
        elif keyword == "properties":
            for key, inner in rule.items():
                if isinstance(value, dict) and key in value:
                    found += violations(value[key], inner, f"{path}.{key}")
        elif keyword == "additionalProperties":
            known = schema.get("properties", {})
            for key in [k for k in value if k not in known] if isinstance(value, dict) else []:
                found += [f"{path}: unknown key {key}"] if rule is False else violations(
                    value[key], rule, f"{path}.{key}")
        elif keyword == "items":
            for i, element in enumerate(value) if isinstance(value, list) else ():
                found += violations(element, rule, f"{path}[{i}]")
        elif keyword not in _NOTES:
            raise ValueError(f"{path}: keyword {keyword} is not supported")
    return found
