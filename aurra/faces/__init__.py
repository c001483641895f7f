"""The faces: thin translations between a protocol and the operations. They do not know one another."""
