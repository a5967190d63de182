"""
The kubelet's law: a twin of its resource managers, one module per manager, named as the kubelet names them.

Pure: state in, verdict and new state out. No I/O, no clock, no logging, no settings. The readable specification
of the project; whatever is fast elsewhere must agree with it, and it must agree with the kubelet's own code.
"""
