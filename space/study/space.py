"""A search space: what is fixed, what is searched, how, towards what and how long."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from space.config import ELSEWHERE, SEED_KEYS, RunConfig
from space.errors import SpaceError, nearest
from space.messages import dotted, listed, mistakes, together
from space.metrics import Measured, Metric
from space.study import checks, constraints
from space.study.callbacks import Callbacks
from space.study.identity import WITHOUT_GPU, difference, flat, seed_problem
from space.study.own import ByPath, ImportPath, imported
from space.study.parameters import CategoricalParameter, IntParameter, Parameter, Value
from space.study.pruners import NoPruner, Pruner, PrunerName, rungs
from space.study.samplers import GridSampler, PBTSampler, Sampler, SamplerName, TPESampler
from space.study.terms import Budget, Confirm, Limits, Objective, Resources, StudyName, WarmStart
from space.trainable import ConfigHolder
from space.words import describe, joined

if TYPE_CHECKING:
    from space.config import AnyData, AnyTraining

__all__ = ["Space"]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict | Objective) else value


def _tpe_by_default(value: Any) -> Any:
    value = {"name": "tpe", **value} if isinstance(value, dict) else value
    return imported(value, apart=("seed",))


class Space(ConfigHolder):
    """A search-space file.

    Its trainable says which sections make the fixed config; a trial's parameters are laid over it.
    An instance is consistent throughout: every parameter's range is allowed by the setting that it
    searches, conditions can be met, sampler, pruner and objectives go together, baselines are
    complete.
    """

    study: StudyName
    """The study's name in the store: letters, digits, '.', '_' and '-'."""
    if TYPE_CHECKING:
        data: AnyData
        training: AnyTraining
    parameters: Annotated[dict[str, Parameter], Field(min_length=1)]
    """What is searched: settings of the trainable by their names; those that others depend on come
    first."""
    objective: Annotated[
        tuple[Objective, ...],
        Field(strict=False, min_length=1),
        BeforeValidator(_as_list, json_schema_input_type=Objective | list[Objective]),
    ] = (Objective(),)
    """The metric that decides, or a list of them for their trade-off; a pruner judges the metric of
    a single objective."""
    sampler: Annotated[
        Sampler,
        BeforeValidator(
            _tpe_by_default, json_schema_input_type=Sampler | SamplerName | ByPath | ImportPath
        ),
    ] = TPESampler()
    """Who proposes trials: a name, or a mapping with a name and options; the name of a class of
    your own is its import path."""
    pruner: Annotated[
        Pruner,
        BeforeValidator(imported, json_schema_input_type=Pruner | PrunerName | ByPath | ImportPath),
    ] = NoPruner()
    """Who stops them early: a name, or a mapping with a name and options; the name of a class of
    your own is its import path."""
    constraints: Annotated[
        tuple[str, ...], Field(strict=False, exclude_if=lambda given: not given)
    ] = ()
    """What must hold of a trial before it is trained: comparisons of parameters, other settings and
    n_parameters, with and, or, not, + - * /. What a sampler proposes against them is drawn anew."""
    prune_baselines: bool = False
    """Whether the pruner may stop a baseline, too; else the others have something to be compared
    with, though it competes no further than to where the pruner would have stopped it."""
    baselines: Annotated[tuple[dict[str, Value], ...], Field(strict=False)] = ()
    """Settings to try first; what one leaves out comes from the fixed config, so {} is that.

    What is confirmed is compared with the first."""
    warm_start: Annotated[WarmStart | None, Field(exclude_if=lambda start: start is None)] = None
    """An earlier study whose best trials are tried first, too."""
    replicates: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Seeds that each trial is trained on; its objective is their mean."""
    confirm: Confirm = Confirm()
    """What is trained again on fresh seeds at the end."""
    keep_weights: bool = False
    """Whether the weights of every run that comes to its end are kept, in weights/ below the
    directory of checkpoints: of complete trials and of confirmation runs."""
    budget: Budget
    """When the study ends."""
    resources: Resources = Resources()
    """CPU cores and GPUs for each trial."""
    limits: Annotated[Limits, Field(exclude_if=lambda limits: limits == Limits())] = Limits()
    """When a search or a trial that leads nowhere ends."""
    concurrency: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """Trials at a time; auto: as many as the machine or cluster has room for."""
    callbacks: Annotated[Callbacks, Field(exclude_if=lambda named: not named)] = ()
    """Who is told of every run beside the store: names, or mappings with a name and options."""
    without_gpu: Annotated[bool | None, Field(exclude_if=lambda laid: laid is None)] = None
    """In a file a mapping of these keys, laid over the rest where trials get no GPU: a section's
    settings and single parameters one by one, a sampler, a pruner and lists as a whole. In a plan
    and a record, whether it was laid over; a study keeps that wherever it goes on."""

    @model_validator(mode="before")
    @classmethod
    def _usual_objective(cls, tree: Any) -> Any:
        """What a file leaves open of its objectives is what its trainable says."""
        measured = cls.config_type.measured
        if not isinstance(tree, dict) or not measured.kept_by:
            return tree
        given = tree.get("objective", {})

        def whole(objective: Any) -> Any:
            if not isinstance(objective, dict):
                return objective
            name = objective.get("metric", measured.kept_by[0])
            found = measured.by_name.get(name) if isinstance(name, str) else None
            direction = "maximize" if found is not None and found.maximize else "minimize"
            return {"metric": name, "direction": direction, **objective}

        is_list = isinstance(given, list | tuple)
        return {**tree, "objective": [whole(each) for each in given] if is_list else whole(given)}

    @field_validator("parameters", mode="after")
    @classmethod
    def _conditions_first(cls, parameters: dict[str, Parameter]) -> dict[str, Parameter]:
        return checks.ordered(parameters, cls.config_type)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        config, n_objectives = self.config, len(self.objectives)
        together(
            [
                partial(checks.check_ranges, self.parameters, config),
                partial(checks.check_objectives, self.objectives, self.config_type.measured),
                partial(checks.check_sampler, self.sampler, self.parameters, n_objectives),
                partial(
                    checks.check_population, self.sampler, self.pruner, self.confirm, self.resources
                ),
                partial(
                    checks.check_pruner,
                    self.pruner,
                    epochs=self.training.epochs,
                    replicates=self.replicates,
                    n_objectives=n_objectives,
                ),
                partial(checks.check_limits, self.limits, n_objectives, self.resources),
                self.baseline_params,
                partial(
                    constraints.check_constraints, self.constraints, config, self.parameter_paths
                ),
                partial(
                    checks.check_warm_start,
                    self.warm_start,
                    self.study,
                    self.sampler,
                    n_objectives,
                ),
            ]
        )
        return self

    @property
    def what(self) -> str:
        """What is trained, in a word or two: a network, or one or another where it is searched."""
        by_path = {path: self.parameters[name] for name, path in self.parameter_paths.items()}
        if isinstance(network := by_path.get("model.name"), CategoricalParameter):
            return joined(map(str, network.choices), "or")
        return self.config.what

    @property
    def measured(self) -> Measured:
        """What is measured of its runs: the objectives, where the trainable does not say."""
        known = self.config_type.measured
        return known if known.metrics else Measured.of_objectives(self.objectives)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives, also where there is but one."""
        return self.objective

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What the objectives measure, in order."""
        return tuple(
            self.measured.metric(each.metric, maximize=each.direction == "maximize")
            for each in self.objectives
        )

    @property
    def parameter_paths(self) -> dict[str, str]:
        """Parameter -> dotted path of the setting in a `RunConfig`."""
        return {name: self.config_type.searched(name) for name in self.parameters}

    def active(self, params: Mapping[str, Value]) -> list[str]:
        """The parameters that take part, given the values of their parents, in order.

        Args:
            params: Parameter -> value; those of inactive parameters are disregarded.
        """
        kept: dict[str, Value] = {}
        names = []
        for name, parameter in self.parameters.items():
            if parameter.is_active(kept):
                names.append(name)
                if name in params:
                    kept[name] = params[name]
        return names

    def point(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """Values as their parameters spell them: equal for the same point, however it was written.

        Args:
            params: Parameter -> value. What no parameter may have stays as it is.
        """
        found = dict(params)
        for name in found.keys() & self.parameters.keys():
            spelled = self.parameters[name].spell(found[name])
            found[name] = found[name] if spelled is None else spelled
        return found

    def points(self, most: int) -> list[dict[str, Value]] | None:
        """Every point of the space, with its active parameters alone.

        Args:
            most: No more than so many are listed.

        Returns:
            The points; None where there are more, or a number is continuous.
        """
        found: list[dict[str, Value]] = [{}]
        for name, parameter in self.parameters.items():
            active = [params for params in found if parameter.is_active(params)]
            n_values = (
                parameter.n_values if isinstance(parameter, IntParameter) else parameter.n_points
            )
            if active and (n_values is None or len(active) * n_values > most):
                return None
            values = parameter.points() if active else []
            found = [params for params in found if not parameter.is_active(params)]
            found += [{**params, name: value} for params in active for value in values]
        return found if len(found) <= most else None

    def resolve(self, params: Mapping[str, Value]) -> RunConfig:
        """The fixed config with a trial's parameters laid over it.

        Args:
            params: Parameter -> value. Values of inactive parameters are disregarded; one that is
                missing stays as fixed. A value may lie outside the range, since a study's ranges
                may change, but not outside what the setting allows.

        Returns:
            The complete config of the trial.

        Raises:
            SpaceError: If a parameter is unknown or a value is not allowed.
        """
        for name in params:
            if name not in self.parameters:
                raise SpaceError(
                    f"parameter {describe(name)} is not searched; searched: "
                    f"{listed(self.parameters)}{nearest(name, self.parameters)}"
                )
        paths = self.parameter_paths
        values = {paths[name]: params[name] for name in self.active(params) if name in params}
        try:
            return self.config.with_values(values)
        except ValidationError as error:
            first = mistakes(error, self.config_type, None)[0]
            raise SpaceError(f"{dotted(first.path)}: {first.problem}") from error

    def broken(self, config: RunConfig, n_parameters: int) -> str | None:
        """Which constraint a trial breaks, as a sentence; None where it keeps them all.

        Args:
            config: Its complete config.
            n_parameters: Trainable parameters of its network.
        """
        return constraints.broken(self.constraints, config, self.parameter_paths, n_parameters)

    def baseline_params(self) -> list[dict[str, Value]]:
        """The baselines, each complete: every active parameter with its value."""
        return checks.complete_baselines(self.baselines, self.parameters, self.config)

    @property
    def n_grid_points(self) -> int:
        """How many combinations a grid over the parameters has.

        Raises:
            SpaceError: If a parameter has a condition or is continuous.
        """
        return math.prod(len(points) for points in self.grid().values())

    @property
    def max_trials(self) -> int | None:
        """Trials that a study may hold in all, over all launches; None: any number."""
        if self.sampler.name != "grid":
            return self.budget.trials
        # A grid has nothing more to propose once every point has been tried; a baseline is one.
        n_points = self.n_grid_points
        return n_points if self.budget.trials is None else min(self.budget.trials, n_points)

    def grid(self) -> dict[str, list[Value]]:
        """Every parameter's values, for a grid search.

        Raises:
            SpaceError: If a parameter has a condition or is continuous and the sampler has no
                cells of it, or the grid is too large.
        """
        cells = self.sampler.cells if isinstance(self.sampler, GridSampler) else {}
        problem = checks.grid_problem(self.parameters, cells)
        if problem is not None:
            raise SpaceError(problem)
        return {
            name: parameter.points()
            if isinstance(parameter, CategoricalParameter) or parameter.n_points is not None
            else parameter.centres(cells[name])
            for name, parameter in self.parameters.items()
        }

    def rungs(self) -> list[int]:
        """The epochs at which ASHA or Hyperband decide, ascending; empty for other pruners."""
        return rungs(self.pruner, self.training.epochs)

    def identity(self) -> dict[str, Any]:
        """The terms that may not change within a study: dotted term -> value that JSON can hold.

        The fixed config belongs to it as far as it enters every trial; a searched setting does not,
        but for one with a condition, which stays as fixed where the condition fails. Of a parameter
        its kind, its scale and its choices belong to it, its bounds do not: they may widen or
        narrow.
        """
        always_searched = {
            self.config_type.searched(name)
            for name, each in self.parameters.items()
            if each.when is None
        }
        terms = {
            path: value
            for path, value in flat(self.config.model_dump(mode="json"))
            if path not in (*always_searched, *ELSEWHERE)
        }
        if "trainable" in terms:
            terms["trainable"] = terms["trainable"].partition("@")[0]
        terms["replicates"] = self.replicates
        if self.without_gpu:
            terms[WITHOUT_GPU] = True
        for index, objective in enumerate(self.objectives):
            terms[f"objective.{index}"] = f"{objective.direction} {objective.metric}"
        for name, parameter in self.parameters.items():
            terms[f"parameters.{name}.type"] = parameter.type
            if parameter.when is not None:
                terms[f"parameters.{name}.when"] = str(parameter.when.model_dump(mode="json"))
            if isinstance(parameter, CategoricalParameter):
                terms[f"parameters.{name}.choices"] = list(parameter.choices)
            else:
                terms[f"parameters.{name}.log"] = parameter.log
        return terms

    def difference(self, earlier: Mapping[str, Any]) -> list[str]:
        """What changed since an earlier `identity`, a readable line for each term."""
        return difference(earlier, self.identity())

    def keep_seeds(self, identity: Mapping[str, Any]) -> Space:
        """The space with the seeds that its study was begun with, where it says nothing of them.

        Args:
            identity: The study's terms.
        """
        sections = {}
        for key in SEED_KEYS:
            section, name = key.split(".")
            given = getattr(self, section)
            if name not in given.model_fields_set and key in identity:
                sections[section] = given.model_copy(update={name: identity[key]})
        return self.model_copy(update=sections)

    def seed_problem(self) -> str | None:
        """What is wrong where a seed, or a replicate's, is none of `SEARCH_SEEDS`."""
        size = self.sampler.population if isinstance(self.sampler, PBTSampler) else math.inf
        n_rounds = (self.budget.trials or 0) // size
        return seed_problem(self.config, self.replicates + int(n_rounds))
