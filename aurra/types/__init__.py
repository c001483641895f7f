"""Every Struct that crosses the wire. Field descriptions become the OpenAPI document and the SDKs' documentation."""
