"""
``kubectl_complete-numa``: what ``kubectl numa <TAB>`` asks, and hears in the form of kubectl's own completions.

Source: https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/ (completion for plugins); cobra's
completions: one word a line with a description after a tab, then a directive.
"""

from __future__ import annotations

import sys

from click.shell_completion import ShellComplete

from extender.ask.command import what_if

FILES, NO_FILES = ":0", ":4"
"""ShellCompDirectiveDefault, which lets the shell complete file names, and ShellCompDirectiveNoFileComp."""


def main() -> None:
    """Prints the completions of the arguments; the last one is the word that is being typed."""
    arguments = sys.argv[1:] or [""]
    found = ShellComplete(what_if, {}, "kubectl numa", "").get_completions(arguments[:-1], arguments[-1])
    words = [item for item in found if item.type == "plain"]
    for item in words:
        print(f"{item.value}\t{item.help}" if item.help else item.value)  # noqa: T201 - this is its answer
    print(NO_FILES if words else FILES)  # noqa: T201


if __name__ == "__main__":
    main()
