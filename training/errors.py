"""What can keep a run from its end. The command line prints each as one line.

    TrainingError
    |- ConfigError       settings that cannot be used
    |- DatasetError      data that cannot be trained on
    |- CheckpointError   a checkpoint that cannot be gone on from
    |- ExportError       a graph that does not do what its module does, or cannot be written
    |- HeadError         a scoring head that cannot be built, read or attached
    |- MeasurementError  a graph that cannot be measured
    |- ReleaseError      a place that models cannot be written to
    `- ResultError       a result file that is none

Each is defined beside what raises it.
"""


class TrainingError(Exception):
    """The message says what was wrong, with the value, and the remedy."""
