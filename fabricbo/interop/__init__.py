"""Settings and references for other implementations of FABRIC, and from them; docs/interop.md."""
