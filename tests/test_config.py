"""Configurations: contradictions raise, they come back from JSON, unknown keys are errors."""

import json
import math
from dataclasses import replace

import pytest
import torch

from mgdmkit import MGDM, MGDMConfig, TrainConfig
from mgdmkit.config import FineTuneConfig


@pytest.mark.parametrize("config", [MGDMConfig(dim=64, heads=4), TrainConfig(k=3, negatives="bot", seed=7)])
def test_a_configuration_comes_back_from_json(config):
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_unknown_key_is_named_with_the_fields_that_there_are():
    with pytest.raises(ValueError, match=r"^MGDMConfig has no field dimension; it has .*semantic_layers"):
        MGDMConfig.from_dict({"dimension": 3})


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (MGDMConfig, {"dim": 0}),
        (MGDMConfig, {"temporal_layers": -1}),
        (MGDMConfig, {"attention_temperature": 0.0}),
        (MGDMConfig, {"logit_scale": 101.0}),
        (TrainConfig, {"k": -1}),
        (TrainConfig, {"negatives": "hard"}),
        (TrainConfig, {"epochs": 5, "warmup_epochs": 5.0}),
        (TrainConfig, {"lr": 0.0}),
        (TrainConfig, {"target": "onehot"}),
    ],
)
def test_contradictions_raise(cls, values):
    with pytest.raises(ValueError, match=next(iter(values))):
        cls(**values)


@pytest.mark.parametrize("config", [MGDMConfig(), TrainConfig()])
def test_each_choice_lists_its_default_first_and_refuses_other_words(config):
    for name, (default, *others) in config.choices().items():
        assert getattr(config, name) == default
        told = f"{name}='other' is not an option; choose one of '{default}', '{others[0]}'"
        with pytest.raises(ValueError, match=told):
            replace(config, **{name: "other"})


@pytest.mark.parametrize(
    ("cls", "values", "told"),
    [
        (
            MGDMConfig,
            {"attention": "dot", "attention_temperature": 0.1},
            "attention_temperature=0.1 .* attention='dot'",
        ),
        (MGDMConfig, {"representer": False, "attention_temperature": 0.1}, "temperature=0.1 .* representer=False"),
        (MGDMConfig, {"representer": False, "guide": "each"}, "guide='each' .* representer=False"),
        (MGDMConfig, {"discriminator": False, "context": "joint"}, "context='joint' .* discriminator=False"),
        (TrainConfig, {"empty_columns": "uniform", "t2v_mean": "all"}, "t2v_mean='all' .* empty_columns='uniform'"),
        (FineTuneConfig, {"freeze": "image", "clip_lr_ratio": 0.5}, "clip_lr_ratio=0.5 .* freeze='image'"),
    ],
)
def test_an_option_that_another_leaves_without_effect_is_refused(cls, values, told):
    with pytest.raises(ValueError, match=told.replace(" .* ", " has no effect with ")):
        cls(**values)


def test_the_temperatures_are_the_backbones():
    config = MGDMConfig(temporal_layers=2).for_backbone(128, 14.7)
    assert (config.dim, config.logit_scale, config.attention_temperature) == (128, 14.7, 1 / 14.7)
    assert config.for_backbone(128, 50.0) == config, "numbers that are given stay"


def test_openais_weights_keep_100_and_0_01_to_the_bit():
    config = MGDMConfig().for_backbone(768, 100.0)
    assert (config.logit_scale, config.attention_temperature) == (100.0, 0.01)
    assert torch.equal(MGDM(replace(config, dim=8, heads=1)).logit_scale.detach(), torch.tensor(math.log(100.0)))


def test_fixed_temperatures_are_those_of_openais_weights_whatever_the_backbone():
    fixed = MGDMConfig(temperatures="fixed")
    assert (fixed.logit_scale, fixed.attention_temperature) == (100.0, 0.01)
    assert fixed.for_backbone(768, 14.7) == fixed == MGDMConfig.from_dict(fixed.to_dict())
    with pytest.raises(ValueError, match=r"logit_scale=50\.0 contradicts temperatures='fixed', which is 100"):
        MGDMConfig(temperatures="fixed", logit_scale=50.0)


@pytest.mark.parametrize("without", [{"attention": "dot"}, {"representer": False}])
def test_an_attention_without_temperature_gets_none(without):
    for config in (MGDMConfig(**without).for_backbone(768, 14.7), MGDMConfig(**without, temperatures="fixed")):
        assert config.attention_temperature is None
        assert MGDMConfig.from_dict(config.to_dict()) == config


def test_a_model_without_a_decided_temperature_is_refused():
    for config, missing in ((MGDMConfig(), "logit_scale"), (MGDMConfig(logit_scale=10), "attention_temperature")):
        with pytest.raises(ValueError, match=rf"{missing}.* not known: .*for_backbone"):
            MGDM(config)


def test_a_depth_may_stand_beside_a_module_that_is_switched_off():
    """As the small model brings one to the rows of Table 7."""
    MGDMConfig(temporal_layers=2, semantic_layers=1, representer=False, discriminator=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MGDMConfig(heads=0), "heads must be at least 1"),
        (lambda: MGDMConfig(attention_temperature=float("nan")), "attention_temperature must be positive"),
        (lambda: TrainConfig(lr=float("nan")), "lr must be positive"),
    ],
)
def test_values_that_compare_with_nothing_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
