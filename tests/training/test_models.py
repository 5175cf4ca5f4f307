"""Model, losses and compression: what each promises, on sizes that take a moment."""

import itertools
from pathlib import Path

import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed; `make training-deps` installs it")

from training.config import ConfigError, RunConfig, read_config  # noqa: E402
from training.counts import CountsConfig, fit_counts  # noqa: E402
from training.distillation import DistilConfig, distillation_id, distillation_objective, inherit_items  # noqa: E402
from training.export import export_scores, recommend_onnx  # noqa: E402
from training.fitting import FitConfig, cut_windows, fit, next_item_objective, pack_windows  # noqa: E402
from training.ladder import overlap  # noqa: E402
from training.losses import loss_for, position_loss  # noqa: E402
from training.pruning import PruneConfig, head_importance, prune  # noqa: E402
from training.quantisation import quantise  # noqa: E402
from training.sasrec import SasRec, SasRecConfig  # noqa: E402
from training.scorers import BlendScorer, CountsScorer, best_columns, recommend  # noqa: E402
from training.selection import append_selection  # noqa: E402
from training.sequences import Sequences, pad  # noqa: E402

N_ITEMS = 40
SMALL = SasRecConfig(dim=16, n_heads=2, head_dim=8, ffn_width=32, max_length=20, dropout=0.1)


@pytest.fixture
def sequences() -> Sequences:
    """Users who walk round a ring of items."""
    rng = np.random.default_rng(0)
    users = [(np.arange(12) + rng.integers(N_ITEMS)) % N_ITEMS + 1 for _ in range(80)]
    return Sequences(users=users, item_ids=list(range(N_ITEMS)))


@pytest.fixture
def model() -> SasRec:
    torch.manual_seed(0)
    return SasRec(N_ITEMS, SMALL).eval()


@pytest.fixture
def histories() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(1, N_ITEMS + 1, rng.integers(1, 30)) for _ in range(50)]


def test_position_sees_only_what_came_before(model: SasRec) -> None:
    history = torch.arange(1, 9)[None]
    changed = history.clone()
    changed[0, -1] = 30

    before, after = model.encode(history), model.encode(changed)

    torch.testing.assert_close(before[:, :-1], after[:, :-1])
    assert not torch.allclose(before[:, -1], after[:, -1])


def test_newest_position_alone_is_what_the_whole_computes(model: SasRec) -> None:
    history = torch.from_numpy(pad([np.arange(1, 12), np.arange(3, 6)], 11))

    torch.testing.assert_close(model.encode(history, last_only=True)[:, 0], model.encode(history)[:, -1])


def test_padding_changes_no_score(model: SasRec) -> None:
    bare = model(torch.tensor([[4, 5, 6]]))

    torch.testing.assert_close(bare, model(torch.tensor([[0, 0, 4, 5, 6]])), atol=1e-5, rtol=1e-5)


def test_only_the_newest_items_are_read(model: SasRec) -> None:
    long = torch.randint(1, N_ITEMS + 1, (1, 35), generator=torch.Generator().manual_seed(0))

    torch.testing.assert_close(model(long), model(long[:, -SMALL.max_length :]))


@pytest.mark.parametrize("loss", ["cross_entropy", "sampled_softmax", "gbce"])
def test_every_loss_teaches_what_follows(sequences: Sequences, loss: str) -> None:
    config = FitConfig(
        loss=loss, n_negatives=20, max_epochs=40, evaluate_every=8, batch_positions=128, learning_rate=1e-2
    )
    torch.manual_seed(0)
    model = SasRec(N_ITEMS, SMALL)

    looks = fit(
        model,
        sequences,
        config,
        next_item_objective(N_ITEMS, config),
        checkpoint=None,
        on_look=lambda look: None,
    )

    assert looks[-1].best_ndcg_10 > 0.6
    lists = recommend(model, [np.array([7, 8, 9])], k=1, allow_repeats=False, max_length=20)
    assert lists.tolist() == [[10]]


def test_cross_entropy_is_that_of_torch(model: SasRec) -> None:
    hidden, following = torch.randn(5, 16), torch.tensor([1, 5, 9, 40, 2])

    loss = position_loss("cross_entropy", model, hidden, following, n_negatives=0)

    expected = torch.nn.functional.cross_entropy(hidden @ model.items.weight[1:].T, following - 1)
    torch.testing.assert_close(loss, expected)


def test_large_catalogues_are_sampled() -> None:
    assert (loss_for(3_496), loss_for(12_101)) == ("cross_entropy", "sampled_softmax")


def test_windows_predict_every_item_but_the_first_at_most_once() -> None:
    windows = cut_windows([np.arange(1, 120)], 50, np.random.default_rng(3))
    predicted = list(itertools.chain.from_iterable(window[1:].tolist() for window in windows))

    assert len(predicted) == len(set(predicted))
    assert all((np.diff(window) == 1).all() for window in windows)


def test_packed_batches_hold_every_window_once_and_little_padding() -> None:
    rng = np.random.default_rng(0)
    windows = [np.full(length, place + 1) for place, length in enumerate(rng.integers(2, 51, 200))]
    batches = pack_windows(windows, 512, rng)
    rows = [row for batch in batches for row in batch]

    assert sorted(int(row[-1]) for row in rows) == list(range(1, 201))
    assert sum(batch.size for batch in batches) < 1.2 * sum(map(len, windows))


def test_fit_that_went_on_ends_as_one_that_was_not_stopped(sequences: Sequences, tmp_path: Path) -> None:
    config = FitConfig(max_epochs=6, evaluate_every=2)
    objective = next_item_objective(N_ITEMS, config)
    seen: list[int] = []

    class Stop(Exception):
        pass

    def stop_after_two(look: object) -> None:
        seen.append(look.epoch)
        if len(seen) == 2:
            raise Stop

    def fresh() -> SasRec:
        torch.manual_seed(5)
        return SasRec(N_ITEMS, SMALL)

    whole = fresh()
    looks = fit(whole, sequences, config, objective, checkpoint=None, on_look=lambda look: None)
    with pytest.raises(Stop):
        fit(fresh(), sequences, config, objective, checkpoint=tmp_path / "fit.pt", on_look=stop_after_two)
    resumed = fresh()
    looks_after = fit(
        resumed,
        sequences,
        config,
        objective,
        checkpoint=tmp_path / "fit.pt",
        on_look=lambda look: seen.append(look.epoch),
    )

    assert seen == [2, 4, 6]
    assert looks_after == looks
    for name, weights in whole.state_dict().items():
        assert torch.equal(weights, resumed.state_dict()[name]), name


def test_checkpoint_of_another_configuration_is_not_used(sequences: Sequences, tmp_path: Path) -> None:
    path = tmp_path / "fit.pt"
    epochs: list[int] = []
    said: list[str] = []
    for max_epochs in (2, 4):
        config = FitConfig(max_epochs=max_epochs, evaluate_every=2)
        torch.manual_seed(0)
        fit(
            SasRec(N_ITEMS, SMALL),
            sequences,
            config,
            next_item_objective(N_ITEMS, config),
            checkpoint=path,
            on_look=lambda look: epochs.append(look.epoch),
            on_restart=said.append,
        )

    assert epochs == [2, 2, 4]
    assert said == [f"checkpoint of another configuration, starting over: {path}"]


def test_checkpoint_of_another_objective_is_not_used(sequences: Sequences, tmp_path: Path) -> None:
    config = FitConfig(max_epochs=2, evaluate_every=2)
    epochs: list[int] = []
    for objective_id in ("one", "other"):
        torch.manual_seed(0)
        fit(
            SasRec(N_ITEMS, SMALL),
            sequences,
            config,
            next_item_objective(N_ITEMS, config),
            objective_id=objective_id,
            checkpoint=tmp_path / "fit.pt",
            on_look=lambda look: epochs.append(look.epoch),
        )

    assert epochs == [2, 2]


def test_objective_of_another_teacher_or_setting_has_another_name(model: SasRec) -> None:
    other = SasRec(N_ITEMS, SMALL)
    names = {
        distillation_id(model, DistilConfig()),
        distillation_id(other, DistilConfig()),
        distillation_id(model, DistilConfig(weight=0.1)),
    }

    assert len(names) == 3


def test_student_comes_closer_to_its_teacher(sequences: Sequences, model: SasRec) -> None:
    config = FitConfig(max_epochs=12, evaluate_every=6, batch_positions=128, learning_rate=1e-2)
    objective = distillation_objective(model, DistilConfig(n_top=20, weight=1.0), config)
    torch.manual_seed(1)
    student = SasRec(N_ITEMS, msgspec.structs.replace(SMALL, dim=8, n_heads=1))
    batch = torch.from_numpy(pad(sequences.fitting(), 10))

    before = objective(student, batch[:, :-1], batch[:, 1:]).item()
    fit(student, sequences, config, objective, checkpoint=None, on_look=lambda look: None)
    student.eval()

    assert objective(student, batch[:, :-1], batch[:, 1:]).item() < before / 2


def test_equal_scores_come_back_by_item_number_as_in_the_graph() -> None:
    scores = torch.tensor([[1.0, 2.0, 2.0, 0.0, 2.0, 1.0], [0.0] * 6, [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]])
    wide = torch.randint(0, 3, (64, 5_000), generator=torch.Generator().manual_seed(0)).float()

    assert best_columns(scores, 4).tolist() == [[1, 2, 4, 0], [0, 1, 2, 3], [0, 1, 2, 3]]
    expected = np.argsort(-wide.numpy(), axis=1, kind="stable")[:, :20]
    np.testing.assert_array_equal(best_columns(wide, 20).numpy(), expected)


def test_lists_are_filled_up_with_nobody(model: SasRec) -> None:
    everything_but_two = np.arange(1, N_ITEMS - 1)

    lists = recommend(model, [everything_but_two], k=N_ITEMS + 5, allow_repeats=False, max_length=20)

    assert sorted(lists[0].tolist()) == [0] * (N_ITEMS + 3) + [N_ITEMS - 1, N_ITEMS]


def test_student_inherits_the_geometry_of_the_items(model: SasRec) -> None:
    student = SasRec(N_ITEMS, msgspec.structs.replace(SMALL, dim=12))
    inherit_items(model, student)
    wanted, given = (of.items.weight[1:] @ of.items.weight[1:].T for of in (model, student))

    left, strength, right = torch.linalg.svd(wanted)
    best_of_rank_12 = left[:, :12] * strength[:12] @ right[:12]
    torch.testing.assert_close(given, best_of_rank_12, atol=1e-4, rtol=1e-4)
    assert not student.items.weight[0].any()


def test_lean_counts_keep_the_heaviest_neighbours(histories: list[np.ndarray]) -> None:
    table = fit_counts(histories, N_ITEMS, CountsConfig(n_neighbours=20))
    whole, lean = CountsScorer(table), CountsScorer(table, n_neighbours=4)
    history = torch.tensor([[7]])

    top = whole(history)[0].topk(4).values
    torch.testing.assert_close(lean(history)[0].topk(4).values, top)
    assert int((lean(history) > 0).sum()) == 4


def test_pruned_model_keeps_the_important_head_and_is_smaller(model: SasRec) -> None:
    with torch.no_grad():
        model.blocks[0].value.weight[:8] = 0  # the first head adds nothing
    pruned = prune(model, PruneConfig(n_heads=1, ffn_width=32)).eval()

    assert head_importance(model.blocks[0])[0] == 0
    assert pruned.config.n_heads == 1
    history = torch.tensor([[3, 4, 5]])
    bias_only = model.blocks[0].value.bias[:8] @ model.blocks[0].projection.weight[:, :8].T
    with torch.no_grad():
        pruned.blocks[0].projection.bias += bias_only
    torch.testing.assert_close(pruned(history), model(history), atol=1e-4, rtol=1e-4)


def test_pruning_to_more_than_there_is_is_refused(model: SasRec) -> None:
    with pytest.raises(ValueError, match="cannot keep 3 heads"):
        prune(model, PruneConfig(n_heads=3, ffn_width=8))


def test_exported_graph_answers_as_its_model_does(
    model: SasRec, histories: list[np.ndarray], tmp_path: Path
) -> None:
    counts = CountsScorer(fit_counts(histories, N_ITEMS, CountsConfig(n_neighbours=5)))
    scorer = BlendScorer(model, counts, 0.3)
    path = tmp_path / "blend.onnx"
    export_scores(scorer, path, example=pad(histories[:8], SMALL.max_length))
    append_selection(path, path)

    for allow_repeats in (False, True):
        lists = recommend_onnx(path, histories, k=10, allow_repeats=allow_repeats, max_length=20)
        expected = recommend(scorer, histories, k=10, allow_repeats=allow_repeats, max_length=20)
        assert (lists == expected).all(1).mean() >= 0.98


def test_int8_graph_holds_its_item_matrix_once_and_agrees(
    histories: list[np.ndarray], tmp_path: Path
) -> None:
    import onnx

    torch.manual_seed(0)
    model = SasRec(N_ITEMS, msgspec.structs.replace(SMALL, dim=32, head_dim=16)).eval()
    scores, quantised = tmp_path / "scores.onnx", tmp_path / "int8.onnx"
    export_scores(model, scores, example=pad(histories[:8], SMALL.max_length))
    quantise(scores, quantised)
    append_selection(quantised, quantised)
    graph = onnx.load(quantised).graph
    item_matrices = [
        list(t.dims) for t in graph.initializer if set(t.dims) & {N_ITEMS, N_ITEMS + 1} and len(t.dims) > 1
    ]
    lists = recommend_onnx(quantised, histories, k=10, allow_repeats=False, max_length=20)
    expected = recommend(model, histories, k=10, allow_repeats=False, max_length=20)

    assert item_matrices == [[32, N_ITEMS]]
    assert sum(node.op_type == "MatMulInteger" for node in graph.node) == 7
    overlap = np.mean(
        [len(set(a) & set(b)) / 10 for a, b in zip(lists.tolist(), expected.tolist(), strict=True)]
    )
    assert overlap > 0.9


@pytest.mark.parametrize("n_items", [32, 64])
def test_int8_finds_its_item_matrix_whatever_other_shapes_there_are(n_items: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = SasRecConfig(dim=64, n_heads=1, head_dim=32, ffn_width=64, max_length=20)
    model = SasRec(n_items, config).eval()
    rng = np.random.default_rng(0)
    histories = [rng.integers(1, n_items + 1, 12) for _ in range(40)]
    scores, quantised = tmp_path / "scores.onnx", tmp_path / "int8.onnx"
    export_scores(model, scores, example=pad(histories[:8], 12))
    quantise(scores, quantised)
    append_selection(quantised, quantised)

    lists = recommend_onnx(quantised, histories, k=10, allow_repeats=True, max_length=20)
    expected = recommend(model, histories, k=10, allow_repeats=True, max_length=20)

    assert overlap(lists, expected) > 0.9


def test_config_of_a_run_is_one_page_of_toml(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("seed = 3\n[teacher]\ndim = 32\n[distil]\nweight = 0.5\n")

    config = read_config(path)

    assert (config.seed, config.teacher.dim, config.distil.weight) == (3, 32, 0.5)
    assert config.student == RunConfig().student


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[teacher]\ndims = 32\n", "unknown field `dims`"),
        ("[teacher]\ndim = 'wide'\n", r"Expected `int`, got `str` - at `\$\.teacher\.dim`"),
        ("teacher = \n", "Invalid value"),
        ("[fit]\npatience = 0\n", "Expected `int` >= 1"),
        ("[teacher]\ndropout = 1.0\n", "Expected `float` < 1"),
        ("[prune]\nn_heads = 9\n", "must not exceed those of the student"),
        ("[teacher]\nmax_length = 200\n", "must be the same"),
        ("[fit]\nseed = 3\n", r"fit\.seed cannot be set; the run's own `seed`"),
        ("[refit]\nseed = 3\n", r"refit\.seed cannot be set; the run's own `seed`"),
        ("seed = -1\n", "Expected `int` >= 0"),
        ("head = 'tree'\n", "Invalid enum value 'tree'"),
    ],
)
def test_bad_config_names_file_and_setting(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=rf"run\.toml: .*{said}"):
        read_config(path)


def test_missing_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml"):
        read_config(tmp_path / "none.toml")
