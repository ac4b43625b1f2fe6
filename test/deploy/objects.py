"""YAML and its schemas for the tests of deployment files; prints JSON.

load FILE…                      every document of every file
kubernetes VERSION… [--crds D]  objects on standard input, and what each version's OpenAPI schema
                                (unknown fields refused) or the definition in D says against them
schema FILE                     what a JSON schema says against the document on standard input
"""
import json
import sys

import jsonschema
import kubernetes_validate
import yaml


def load(stream):
    return [document for document in yaml.safe_load_all(stream) if document is not None]


def strict(schema):
    """An API server drops fields that a definition does not name: here they are mistakes."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: strict(value) for key, value in schema.items()}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields")
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        if not open_ended:
            result.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        result["type"] = ["integer", "string"]
    return result


def definitions(folder):
    found = {}
    for kind in ("servicemonitors", "prometheusrules"):
        for crd in load(open("%s/monitoring.coreos.com_%s.yaml" % (folder, kind))):
            spec = crd["spec"]
            for version in spec["versions"]:
                key = (spec["group"] + "/" + version["name"], spec["names"]["kind"])
                schema = strict(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object"}
                found[key] = schema
    return found


def problems_of(schema, document):
    validator = jsonschema.validators.validator_for(schema)(schema)
    for error in validator.iter_errors(document):
        yield "%s: %s" % (".".join(map(str, error.absolute_path)), error.message[:300])


def check(documents, versions, crds):
    for document in documents:
        kind = document["kind"]
        name = "%s/%s" % (kind, document["metadata"]["name"])
        custom = crds.get((document["apiVersion"], kind))
        if custom is not None:
            for problem in problems_of(custom, document):
                yield "%s: %s" % (name, problem)
            continue
        for version in versions:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                path = ".".join(map(str, error.path))
                yield "%s (%s): %s: %s" % (name, version, path, error.message[:300])
            except kubernetes_validate.SchemaNotFoundError:
                yield "%s (%s): no schema of %s" % (name, version, document["apiVersion"])


def main(command, *arguments):
    arguments = list(arguments)
    if command == "load":
        return [document for path in arguments for document in load(open(path))]
    documents = load(sys.stdin)
    if command == "schema":
        schema = json.load(open(arguments[0]))
        return [problem for document in documents for problem in problems_of(schema, document)]
    crds = {}
    if "--crds" in arguments:
        at = arguments.index("--crds")
        crds = definitions(arguments[at + 1])
        del arguments[at : at + 2]
    return {"objects": documents, "problems": list(check(documents, arguments, crds))}


print(json.dumps(main(*sys.argv[1:]), default=str))
