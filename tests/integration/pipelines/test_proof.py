"""No version is published without what it is worth after costs, unless for a reason that is kept with it."""

from pathlib import Path

import pytest
from msgspec import structs
from support.tier import MODEL, version_folder

from data_contracts.errors import ModelNotFoundError, UsageError
from data_contracts.manifest import Compression, DataRange, Estimate, Manifest, read_manifest, write_manifest
from pipelines.steps.proof import refuse, unproven
from registry.memory import MemoryRegistry

LOSS = Estimate(value=-0.4, low=-0.6, high=-0.2)
NAN = float("nan")
DATA = DataRange(source="a", instrument="V:S", fingerprint="a" * 64, first_event_ns=0, last_event_ns=1, events=2)
SMALL = Compression(
    original_bytes=9,
    compressed_bytes=1,
    steps=("pruned",),
    metric="log_loss",
    difference_low=-0.01,
    difference_high=0.004,
    margin=0.005,
    not_inferior=True,
)


def proven(folder: Path, **changes: object) -> Manifest:
    asked = {"metrics": {"net_pnl_bps": LOSS, "baseline_rule_net_pnl_bps": LOSS}, "data": (DATA,)} | changes
    manifest = structs.replace(read_manifest(version_folder(folder)), **asked)
    write_manifest(folder, manifest)
    return manifest


def test_loss_that_is_stated_is_proof_and_what_is_not_a_number_is_none(tmp_path: Path) -> None:
    manifest = proven(tmp_path / "v", compression=SMALL)
    assert unproven(manifest) is None
    metrics = manifest.metrics
    for left_out, said in (
        ("net_pnl_bps", "net_pnl_bps with a 95 % interval"),
        ("baseline_rule_net_pnl_bps", "baseline"),
    ):
        for other in (None, Estimate(value=None), Estimate(value=-0.4), Estimate(value=NAN, low=NAN, high=NAN)):
            changed = {name: one for name, one in metrics.items() if name != left_out}
            changed |= {} if other is None else {left_out: other}
            assert said in (unproven(structs.replace(manifest, metrics=changed)) or "")
    assert "the data" in (unproven(structs.replace(manifest, data=())) or "")
    for worse in (structs.replace(SMALL, not_inferior=False), structs.replace(SMALL, difference_high=NAN)):
        assert "inside its margin" in (unproven(structs.replace(manifest, compression=worse)) or "")
        uncompressed = structs.replace(worse, steps=())
        assert unproven(structs.replace(manifest, compression=uncompressed)) is None


def test_nothing_of_a_folder_is_published_where_one_lacks_its_proof_but_for_a_reason(tmp_path: Path) -> None:
    from pipelines.flows import Given
    from pipelines.publishing import publish_flow

    registry = MemoryRegistry()
    given = Given(registry=registry)
    proven(tmp_path / "good", family="good")
    proven(tmp_path / "bad", family="bad", metrics={})
    with pytest.raises(
        UsageError, match=r"bad: not published: no proof of what it is worth after costs: expected net_"
    ):
        publish_flow(str(tmp_path), MODEL, given)
    with pytest.raises(ModelNotFoundError):
        registry.versions(MODEL)
    for _ in range(2):  # again, it is there already
        done = publish_flow(str(tmp_path), MODEL, given, despite="a look at the wiring")
    assert {one.family for one in done} == {"good", "bad"}
    tags = {one.tags["ringcraft.family"]: one.tags.get("ringcraft.despite") for one in registry.versions(MODEL)}
    assert tags == {"good": None, "bad": "a look at the wiring"}
    (note,) = read_manifest(tmp_path / "bad").notes
    assert note.endswith("Reason: a look at the wiring")
    assert not read_manifest(tmp_path / "good").notes


def test_what_was_refused_where_it_was_made_is_refused_again(tmp_path: Path) -> None:
    from pipelines.flows import Given
    from pipelines.publishing import publish_flow

    registry = MemoryRegistry()
    proven(tmp_path / "v")
    refuse(tmp_path / "v", "not better: log loss +0.1")
    with pytest.raises(UsageError, match="v: not published: not better: log loss"):
        publish_flow(str(tmp_path), MODEL, Given(registry=registry))
    refuse(tmp_path / "v", None)
    assert publish_flow(str(tmp_path), MODEL, Given(registry=registry))[0].new
