"""What a reviewer asks of a study or a benchmark, answered by what the store has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dashboards.numbers.benchmark import BenchmarkView
from dashboards.numbers.study.trials import StudyTrial
from dashboards.numbers.study.view import StudyView
from dashboards.numbers.tables import Row
from dashboards.tables.drawing import Sheet
from dashboards.tables.origins import origin_notes
from dashboards.tables.provenance import show_machine
from dashboards.words import show_code, show_data
from space import Space
from space.metrics import Measured
from space.study.own import title
from space.words import count, duration, joined, number, show_seeds
from storage import LaunchRecord
from storage.summaries.registered import looks_sentence, registered_lines

__all__ = ["NOT_RECORDED", "benchmark_checklist", "study_checklist"]

NOT_RECORDED = "not recorded"

_Answers = dict[str, list[str]]
"""What is asked -> sentences."""


def benchmark_checklist(view: BenchmarkView) -> Sheet:
    """What a reviewer asks of a benchmark, a line a question."""
    rows, registered = view.table.rows, view.table.registered
    n_failed = sum(len(row.result.failed) for row in rows)
    missing = sum(len(row.result.missing) for row in rows) - n_failed
    answers: _Answers = {
        "What was registered before the results?": []
        if registered is None
        else registered_lines(registered)[:-1],
        "How often was the test split looked at?": []
        if registered is None
        else [looks_sentence(registered)],
        "Which seeds?": [
            f"{show_seeds(view.record.seeds)}; "
            + (
                "a config is trained on one more of them until it has a verdict"
                if view.table.is_raced
                else "every config is trained on each of them"
            ),
            f"{count(n_failed, 'run')} failed, {missing} still to be trained",
        ],
        "How was each config chosen?": [
            *map(_chosen_by_others, _reported(rows)),
            *origin_notes(view.table),
        ],
        "What was spent on each config?": [
            _spent(row, is_varied=row.name in view.table.variances)
            for row in rows
            if row.n and row.train_seconds is not None
        ],
        "Which data?": [
            show_data(view.record.data_source, view.record.data_fingerprint),
            *_samples(
                tree
                for row in rows
                for tree in [row.result.config.model_dump(mode="json")]
                if "data" in tree  # Not in those of runs that were trained elsewhere.
            ),
        ],
        "Which epoch's state was evaluated?": _once(
            _kept(view.record.measured, found.run.selection)
            for row in rows
            for found in row.result.seeds.values()
            if view.record.measured.kept_by
        ),
        "Which statistics?": [
            _statistics(
                len(rows) - 1,
                view.record.measured,
                view.table.margin,
                is_raced=view.table.is_raced,
            ),
        ],
        **_code_and_machines(view.launches),
    }
    return _sheet(answers)


def study_checklist(view: StudyView) -> Sheet:
    """What a reviewer asks of a search, a line a question."""
    space, confirmed = view.space, view.confirmation
    answers: _Answers = {
        "What was registered before the results?": [
            "nothing: a search compares nothing on a test split; a benchmark of what it found "
            "registers what it compares"
        ]
        if view.launches
        else [],
        "How often was the test split looked at?": ["never: a search does not read it"]
        if view.launches
        else [],
        "Which seeds?": ([] if space is None else _seeds(space))
        + (
            []
            if confirmed is None
            else [f"{count(len(confirmed.winner.values), 'fresh seed')} for the best trials"]
        ),
        "How was the winner chosen?": ([] if space is None else [_selection(view, space)])
        + (
            ["not on fresh seeds: the best of many trials is partly luck"]
            if confirmed is None
            else [
                f"the winner, trial {confirmed.winner.trial_number}, by its mean on fresh seeds, "
                f"of {count(len(confirmed.trials), 'trial')}"
            ]
        ),
        "What was spent on each config?": _budgets(view),
        "Which data?": [
            show_data(each.data_source, each.data_fingerprint) for each in view.launches[-1:]
        ]
        + ([] if space is None else _samples([_fixed_data(space)])),
        "Which epoch's state counts?": []
        if space is None
        else [_kept(view.measured, each) for each in view.selections or (space.config.selection,)],
        "Which statistics?": []
        if space is None
        else [
            f"a trial's value is the mean over its {view.replicates} runs"
            if view.replicates > 1
            else "a trial's value is that of its one run",
            "nothing was compared on fresh seeds"
            if confirmed is None
            else _statistics(len(confirmed.trials) - 1, view.measured, None),
        ],
        **_code_and_machines(view.launches),
    }
    return _sheet(answers)


def _sheet(answers: _Answers) -> Sheet:
    return Sheet(
        columns=("question", "answer"),
        left=frozenset({0, 1}),
        rows=[
            (question, "; ".join(said).rstrip(".") or NOT_RECORDED)
            for question, said in answers.items()
        ],
    )


def _code_and_machines(launches: Sequence[LaunchRecord]) -> _Answers:
    return {
        "Which code and libraries?": _once(
            f"{show_code(each.git_commit, each.git_dirty)} with "
            + (
                ", ".join(f"{name} {version}" for name, version in sorted(each.versions.items()))
                or f"versions {NOT_RECORDED}"
            )
            for each in launches
        ),
        "Which hardware?": _once(show_machine(each.hardware) for each in launches),
    }


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _reported(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.result.reported is not None]


def _chosen_by_others(row: Row) -> str:
    reported = row.result.reported
    return f"{row.name}: by its publication ({'' if reported is None else reported.source})"


def _spent(row: Row, *, is_varied: bool) -> str:
    runs = [found.run for found in row.result.seeds.values()]
    n_epochs = sum(run.n_epochs for run in runs)
    spent = duration(sum(run.train_seconds for run in runs))
    said = f"{row.name}: {count(len(runs), 'run')}, {count(n_epochs, 'epoch')}, {spent}"
    others = ["those that failed"] if row.result.failed else []
    others += ["those that draw one source anew"] if is_varied else []
    return f"{said}, without {joined(others)}" if others else said


def _budgets(view: StudyView) -> list[str]:
    """What the search spent on what a person gave or chose and on what the sampler proposed."""
    if not (view.is_ours and view.trials):
        return []
    said = [f"a trial at most {count(view.full_epochs * view.replicates, 'epoch')}"]
    for what, trials in (
        ("baselines", [trial for trial in view.trials if trial.is_baseline]),
        ("warm start", [trial for trial in view.trials if trial.warm_start]),
        ("queued by hand", [trial for trial in view.trials if trial.was_queued]),
        (
            "proposals of the sampler",
            [
                trial
                for trial in view.trials
                if not (trial.is_baseline or trial.warm_start or trial.was_queued)
            ],
        ),
    ):
        if trials:
            said.append(f"{what}: {_of_trials(trials)}")
    if view.confirm_epochs:
        spent = duration(view.confirm_seconds)
        said.append(f"on fresh seeds: {count(view.confirm_epochs, 'epoch')}, {spent}")
    return said


def _of_trials(trials: Sequence[StudyTrial]) -> str:
    n_epochs, spent = sum(each.n_epochs for each in trials), sum(each.seconds for each in trials)
    return f"{count(len(trials), 'trial')}, {count(n_epochs, 'epoch')}, {duration(spent)}"


def _samples(configs: Iterable[dict[str, Any]]) -> list[str]:
    """How many samples there are, and what is split off, where a config's data say so."""
    said = _once(
        ", ".join(
            f"{name.removeprefix('n_').replace('_', ' ')} {number(value)}"
            for name, value in config["data"].items()
            if name.startswith("n_") or name in ("validation_fraction", "augment")
        )
        for config in configs
    )
    return [each for each in said if each]


def _fixed_data(space: Space) -> dict[str, Any]:
    """The settings of the data that no trial changes."""
    searched = set(space.parameter_paths.values())
    data = space.model_dump(mode="json")["data"]
    return {"data": {name: each for name, each in data.items() if f"data.{name}" not in searched}}


def _kept(measured: Measured, selection: str) -> str:
    first, *ties = measured.rules(selection)[0]
    said = f"the one with the {first.extreme} {first.words}"
    return said + "".join(f", of equal ones the {each.extreme} {each.words}" for each in ties)


def _statistics(
    n_comparisons: int, measured: Measured, margin: float | None, *, is_raced: bool = False
) -> str:
    means = "mean and standard deviation (ddof 1) over the seeds, sign-flip intervals"
    if n_comparisons < 1:
        return means
    tests = "bets on signs, looked at after every seed," if is_raced else "sign-flip tests"
    said = (
        f"{means}; {count(n_comparisons, 'comparison')} paired by seed, {tests} at the 5 % level, "
        "corrected by Holm's method"
    )
    if margin is None:
        return f"{said}, no margin of equivalence"
    notation = measured.judged_by.notation([margin])
    return f"{said}, equivalent within {notation.quoted(margin)}{notation.of_difference}"


def _seeds(space: Space) -> list[str]:
    first = joined(_once(map(str, (space.data.data_seed, space.training.training_seed))))
    runs = count(space.replicates, "run")
    same = "the same seeds for every trial"
    if space.sampler.name == "pbt":
        same = "the data's the same for every trial, the training's one further each round"
    return [f"from {first} on, {runs} a trial, {same}"]


def _selection(view: StudyView, space: Space) -> str:
    by = joined(f"{metric.extreme} {metric.words}" for metric in view.metrics)
    return (
        f"{count(len(view.trials), 'trial')} with the sampler {title(space.sampler)} and the "
        f"pruner {title(space.pruner)}, by {by}"
    )
