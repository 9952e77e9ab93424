"""What the walks over a picture's structure raise."""


class Malformed(ValueError):
    """The structure does not make a picture, or has more parts than a walk visits."""


class CutOff(Malformed):
    """The file ends before its structure does."""
