import threading

from recserve.telemetry.pipelines import Pipeline, shut_down


def test_pipeline_that_hangs_does_not_keep_the_others_from_ending() -> None:
    never, sent = threading.Event(), threading.Event()
    hanging, well = Pipeline(never.wait), Pipeline(sent.set)

    shut_down([hanging, well], limit_s=0.1)

    assert sent.wait(10)
    assert not hanging.join(0)
    never.set()


def test_flush_that_fails_does_not_keep_it_from_ending() -> None:
    def fail() -> None:
        raise OSError("no route")

    sent = threading.Event()
    pipeline = Pipeline(sent.set, flush=fail)

    pipeline.flush()
    shut_down([pipeline], limit_s=10)

    assert sent.is_set()


def test_pipeline_without_a_flush_waits_for_its_end() -> None:
    sent = threading.Event()
    pipeline = Pipeline(sent.set)

    pipeline.flush()

    assert not sent.is_set()
    pipeline.begin_shutdown()
    assert pipeline.join(10)
