"""What goes wrong in the lab, in one sentence each."""


class LabError(Exception):
    """A part of the lab did not do what it should; the sentence names the part and, where there is one, its log."""
