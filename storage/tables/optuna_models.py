"""Optuna's own tables, beside which ours lie: one of three places that name its private parts.

The others are `storage.optuna_rows`, which reads and writes them in bulk, and the grid sampler's
place in `search.trials.sampling`. Optuna is capped at the minor release that the tests ran with.
"""

from optuna.storages._rdb import models

__all__ = [
    "DIRECTIONS",
    "OF_STUDY",
    "OF_TRIAL",
    "PARAMS",
    "REPORTS",
    "STUDIES",
    "STUDY_ATTRIBUTES",
    "SYSTEM_ATTRIBUTES",
    "TRIALS",
    "USER_ATTRIBUTES",
    "VALUES",
    "models",
]

STUDIES = models.StudyModel.__table__
DIRECTIONS = models.StudyDirectionModel.__table__
TRIALS = models.TrialModel.__table__
VALUES = models.TrialValueModel.__table__
PARAMS = models.TrialParamModel.__table__
REPORTS = models.TrialIntermediateValueModel.__table__
"""What Optuna calls intermediate values."""
USER_ATTRIBUTES = models.TrialUserAttributeModel.__table__
STUDY_ATTRIBUTES = models.StudySystemAttributeModel.__table__
"""Those that Optuna itself gives a study."""
SYSTEM_ATTRIBUTES = models.TrialSystemAttributeModel.__table__

OF_STUDY = (
    DIRECTIONS,
    models.StudyUserAttributeModel.__table__,
    STUDY_ATTRIBUTES,
)
"""Whose rows belong to a study, beside its trials."""
OF_TRIAL = (
    USER_ATTRIBUTES,
    SYSTEM_ATTRIBUTES,
    PARAMS,
    VALUES,
    REPORTS,
    models.TrialHeartbeatModel.__table__,
)
"""Whose rows belong to a trial."""
