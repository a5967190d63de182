"""
What-if: the live verdict's own law, asked by people about pods and clusters that need not exist.

Questions are answered on values: nothing here changes what is known, waits, reads a clock or logs. Whatever may take
long is a generator that gives up control after every few verdicts (``extender.what_if.work``), so that whoever runs
it can show progress, keep to a limit, or stop.
"""
