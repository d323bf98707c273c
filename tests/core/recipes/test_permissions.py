"""Pipelines from elsewhere: what they may not do, and how loading them stays bounded."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import tamis
from tamis.errors import ConfigError
from tamis.models import CostOnly, OpenAIChat
from tamis.parts.permissions import KINDS, Need, NotPermitted, Permissions
from tamis.parts.shelf import DEEPEST, MOST_BYTES, MOST_VALUES
from tamis.prompts.wordings import wordings
from tamis.recipes.load import model_names
from tamis.recipes.schema import FAMILIES
from tamis.values.model import MODELS

LOCAL = "http://localhost:8000/v1"


def chat(**options: Any) -> list[Any]:
    return [{"listwise": {"model": {"openai": {"model": "m", **options}}}}]


def model(name: str, **options: Any) -> list[Any]:
    return [{"embedding": {"model": {name: options}}}]


WANTED: dict[str, tuple[list[Any], set[str]]] = {
    "an address": (chat(base_url=LOCAL), {"network:localhost:8000"}),
    "a default address": (chat(api_key="k"), {"network:api.openai.com"}),
    "a default address and its key": (chat(), {"network:api.openai.com", "environment:OPENAI_API_KEY"}),
    "a variable": (
        chat(base_url=LOCAL, api_key_env="AWS_SECRET_ACCESS_KEY"),
        {"network:localhost:8000", "environment:AWS_SECRET_ACCESS_KEY"},
    ),
    "a provider": (
        [{"cross_encoder": {"model": {"rerank_service": "m", "provider": "jina"}}}],
        {"network:api.jina.ai", "environment:JINA_API_KEY"},
    ),
    "a provider of one's own": (
        [
            {
                "cross_encoder": {
                    "model": {"rerank_service": "m", "provider": {"base_url": "https://evil.example", "key": "HOME"}}
                }
            }
        ],
        {"network:evil.example", "environment:HOME"},
    ),
    "a folder": (model("onnx_embedder", path="/etc"), {"files:/etc"}),
    "a download": (model("sentence_transformer", model="org/name"), {"network:huggingface.co"}),
    "code": (
        [{"cross_encoder": {"model": {"transformers_cross_encoder": {"model": "o/n", "trust_remote_code": True}}}}],
        {"network:huggingface.co", "code"},
    ),
    "addresses of pictures": (chat(base_url=LOCAL, allow_image_addresses=True), {"network:localhost:8000", "images"}),
    "a calibration": ([{"calibrate": {"artefact": "fit.json"}}], {"files:fit.json"}),
    "a calibration of a policy": (
        [{"dynamic_k": {"policy": {"softmax_mass": {"fitted": "f.json"}}}}],
        {"files:f.json"},
    ),
    "a network": ([{"trained_graph": {"network": "/x.npz", "model": {"cost_only": {}}}}], {"files:/x.npz"}),
    "a head": (
        [{"cross_encoder": {"model": {"parade": {"model": "org/name", "head": "h.npz"}}}}],
        {"network:huggingface.co", "files:h.npz"},
    ),
    "a criterion's model": (
        [{"multi_criteria": {"criteria": [{"ranker": {"stage": {"pointwise": chat(base_url=LOCAL)[0]["listwise"]}}}]}}],
        {"network:localhost:8000"},
    ),
}


@pytest.mark.parametrize(("data", "wanted"), WANTED.values(), ids=WANTED)
@pytest.mark.parametrize("how", ["data", "yaml", "file", "reranker", "names"])
def test_what_reaches_out_is_refused_with_the_permissions_that_are_missing(
    data: list[Any], wanted: set[str], how: str, tmp_path: Path
) -> None:
    file = tmp_path / "sent.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    loaders: dict[str, Callable[[], Any]] = {
        "data": lambda: tamis.load(data),
        "yaml": lambda: tamis.from_yaml(json.dumps(data)),
        "file": lambda: tamis.load(file),
        "reranker": lambda: tamis.Reranker(str(file)),
        "names": lambda: model_names(file),
    }
    with pytest.raises(NotPermitted) as refused:
        loaders[how]()
    assert isinstance(refused.value, ConfigError)
    assert set(refused.value.missing) == wanted
    for grant in wanted:
        assert repr(grant) in str(refused.value)
        assert f"--allow {grant}" in str(refused.value)


@pytest.mark.parametrize("name", ["an address", "a variable", "a provider", "a download", "a default address"])
def test_what_is_permitted_loads_and_nothing_less_will_do(name: str) -> None:
    data, wanted = WANTED[name]
    assert isinstance(tamis.load(data, allow=wanted), tamis.Stage)
    assert isinstance(tamis.load(data, allow="all"), tamis.Stage)
    assert isinstance(tamis.load(data, allow={one.partition(":")[0] for one in wanted}), tamis.Stage)
    for one in wanted:
        with pytest.raises(NotPermitted):
            tamis.load(data, allow=wanted - {one})


def test_the_message_names_field_value_and_permission() -> None:
    with pytest.raises(NotPermitted) as refused:
        tamis.load(chat(base_url=LOCAL))
    for said in ("base_url", LOCAL, "allow={'network'}", "--allow network"):
        assert said in str(refused.value)


def test_every_model_that_names_weights_or_an_address_is_refused_by_default() -> None:
    harmless = {"cost_only"}
    for name in MODELS.members:
        cls = MODELS.resolve(name)
        options = {"path": "/w"} if "path" in cls.__dataclass_fields__ else {"model": "/w"}
        options |= {"provider": "cohere"} if name == "rerank_service" else {}
        options |= {"head": "/h"} if name == "parade" else {}
        options |= {"wording": next(iter(wordings()))} if name == "lm_cross_encoder" else {}
        if name not in harmless and MODELS.package_of(cls) is None:
            permissions = Permissions.of(())
            with suppress(NotPermitted):
                MODELS.build({name: options}, {"allow": permissions})
            assert permissions.refused, name


def test_what_the_caller_gives_needs_no_permission(tmp_path: Path) -> None:
    given = {"llm": {"openai": "m", "base_url": LOCAL, "api_key_env": "HOME"}}
    assert tamis.load([{"listwise": {"model": "llm"}}], models=given)
    assert tamis.load([{"listwise": {"model": OpenAIChat("m", base_url=LOCAL)}}])
    assert tamis.load(tamis.Listwise(OpenAIChat("m", base_url=LOCAL)))
    assert tamis.load("rebel", models=given)


def test_no_preset_needs_a_permission() -> None:
    for name in tamis.presets():
        assert isinstance(model_names(name), tuple)


def test_a_preset_in_data_opens_no_door_for_what_stands_beside_it() -> None:
    with pytest.raises(NotPermitted):
        tamis.load(["texts", *chat(base_url=LOCAL)])


@pytest.mark.parametrize("allow", ["netwrok", {"network:"}, {"all:x"}, {"code:x"}, {""}])
def test_a_permission_that_is_none_is_refused(allow: Any) -> None:
    with pytest.raises(ConfigError, match="permission"):
        tamis.load("lexical", allow=allow)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("localhost:8000", "network:localhost:8000"),
        ("http://localhost:8000/v1", "network:localhost:8000"),
        ("https://user:pass@api.example.com/v1", "network:api.example.com"),
        ("network:http://localhost:8000/v1", "network:localhost:8000"),
        ("api.example.com", "network:api.example.com"),
        ("127.0.0.1:80", "network:127.0.0.1:80"),
        ("[::1]:80", "network:[::1]:80"),
        ("./weights", "files:./weights"),
        ("/weights", "files:/weights"),
        ("OPENAI_API_KEY", "environment:OPENAI_API_KEY"),
    ],
)
def test_what_a_permission_is_for_alone_gets_its_kind(given: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"Did you mean '{re.escape(meant)}'") as refused:
        tamis.load("lexical", allow={given})
    assert "pass@" not in str(refused.value)
    tamis.load("lexical", allow=meant)


@pytest.mark.parametrize("allow", [True, False, None, 1])
def test_what_is_no_collection_of_permissions_is_refused(allow: Any) -> None:
    with pytest.raises(ConfigError, match=f"allow must be a permission .*'all' permits everything. Got {allow}"):
        tamis.load("lexical", allow=allow)


@pytest.mark.parametrize(
    ("grant", "address", "covered"),
    [
        ("network:h", "http://h:80/v1", True),
        ("network:h:80", "http://h:80/v1", True),
        ("network:h:81", "http://h:80/v1", False),
        ("network:h:80", "http://h/v1", False),
        ("network:H", "https://h/v1", True),
        ("network:h", "https://h.evil/v1", False),
        ("network:h", "https://evil/h", False),
        ("network:h", "https://evil?h", False),
        ("network:[::1]:80", "http://[::1]:80/v1", True),
        ("network:[::1]", "http://[::1]:80/v1", True),
        ("network:[::1]", "http://[::2]/v1", False),
    ],
)
def test_an_address_is_permitted_by_its_host(grant: str, address: str, covered: bool) -> None:
    permissions = Permissions.of(grant)
    permissions.need(Need("network", "base_url", address))
    assert (not permissions.refused) is covered


def test_a_folder_covers_what_lies_in_it_and_no_way_out(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "in-side"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    for path, covered in {
        inside: True,
        inside / "a" / "b": True,
        inside / ".." / "in" / "a": True,
        outside: False,
        inside / ".." / "in-side": False,
        inside / "link" / "x": False,
        tmp_path: False,
    }.items():
        permissions = Permissions.of({f"files:{inside}"})
        permissions.need(Need("files", "path", str(path)))
        assert (not permissions.refused) is covered, path


@given(st.sampled_from(sorted(KINDS)), st.text(max_size=20), st.sets(st.sampled_from(sorted(KINDS))))
def test_a_permission_of_another_kind_permits_nothing(kind: Any, value: str, given_: set[str]) -> None:
    permissions = Permissions.of(given_)
    permissions.need(Need(kind, "field", value))
    assert bool(permissions.refused) is (kind not in given_)


@pytest.mark.parametrize("file", ["../secret.onnx", "/etc/passwd", "a/../../b", "..\\b", ""])
def test_the_graph_of_a_model_lies_in_its_folder(file: str) -> None:
    with pytest.raises(ConfigError, match="file: must name a file inside"):
        tamis.load(model("onnx_embedder", path="/w", file=file), allow="all")


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 9))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB + "stage: [{top_n: *a8}]", f"{MOST_VALUES:,} values"),
        (MERGES + "stage: [{top_n: *a8}]", f"{MOST_VALUES:,} values"),
        ("[" * 100_000, f"{DEEPEST} levels|nesting depth"),
        ("{a: " * 100_000, f"{DEEPEST} levels"),
        ("- " * 100_000, f"{DEEPEST} levels"),
        ("[" * 3000 + "]" * 3000, f"{DEEPEST} levels|nesting depth"),
        ("- " + "fuse: {stages: [" * 40 + "lexical" + "]}" * 40, f"{DEEPEST} levels"),
        ("# " + "x" * MOST_BYTES, f"{MOST_BYTES:,} bytes"),
        ("é" * (MOST_BYTES // 2 + 1), f"{MOST_BYTES:,} bytes"),
        ("[" + "1," * 200_000 + "1]", f"{MOST_VALUES:,} values"),
        ("&a [*a]", "contains itself"),
        ("stage: &a [{fuse: {stages: *a}}]", "contains itself"),
        ("- top_n: " + "9" * 5000, "more than 64 characters"),
        ("- top_n: 2001-99-99", "cannot be read"),
        ("- top_n: !!binary x", "."),
        ("- [a]: 6", "."),
        ("- {[a]: 6}", "."),
        ("- ~: 6", "."),
        ("- 5: 6", "."),
        ("- top_n: 1e400", "."),
        ("- top_n: !!set {a, b}", "."),
        ('- lexical: {k1: "\\ud800"}', "."),
        ("*nothing", "not valid YAML"),
    ],
    ids=lambda text: text[:18],
)
def test_yaml_that_would_hang_or_crash_a_loader_is_refused_at_once(text: str, said: str) -> None:
    began = time.perf_counter()
    with pytest.raises(ConfigError, match=said) as refused:
        tamis.from_yaml(text)
    assert time.perf_counter() - began < 3
    assert len(str(refused.value)) < 2000


@given(st.text("[]{}&*ab:-, \n!<'\"1~?|>%@`#\t", max_size=60))
def test_any_text_is_a_pipeline_or_a_config_error(text: str) -> None:
    try:
        tamis.from_yaml(text, models={"a": CostOnly(), "b": CostOnly()})
    except tamis.TamisError:
        pass
    except UserWarning:
        pass


def test_a_file_that_is_too_long_is_refused_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "long.yaml"
    file.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(ConfigError, match=r"long\.yaml has more than"):
        tamis.load(file)


def test_data_that_contains_itself_is_refused() -> None:
    data: list[Any] = []
    data.append({"fuse": {"stages": data}})
    with pytest.raises(ConfigError, match="contains itself"):
        tamis.load(data)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.kind)
def test_every_part_that_takes_a_model_hands_the_permissions_on(family: Any) -> None:
    for name, cls in family.usable():
        if family is not MODELS and "model" in getattr(cls, "__dataclass_fields__", {}):
            permissions = Permissions.of(())
            context = {"allow": permissions, "models": {}, "used": set[str]()}
            with suppress(tamis.TamisError):
                family.build({name: {"model": {"openai": "m", "base_url": LOCAL}}}, context)
            assert permissions.refused, name
