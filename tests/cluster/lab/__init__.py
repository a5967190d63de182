"""
Real Kubernetes on imagined machines: starts, watches and stops it for the tests of this folder.

Rules:
1. Whatever is started here is stopped here, and nothing else is; see `workspace` and `keeper`.
2. Nothing has a fixed port or path, so labs may run at the same time.
3. The lab knows the product only as programs with a command line (`programs`): what the tests see does not pass
   through its code.
"""
