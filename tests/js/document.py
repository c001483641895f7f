"""`python -m tests.js.document`: the service's OpenAPI document on stdout, for sdk/js/generate.mjs."""

import sys

import msgspec

from aurra.faces import openapi

if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(openapi.document()))
