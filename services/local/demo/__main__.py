"""Run the demo: `make demo`, or `python -m services.local.demo --once`.

Then print the URLs of what still runs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from regista.errors import RegistaError
from services.local import lifecycle, links
from services.local.demo import auditing, cleaning, people, production, publishing, verdicts
from services.local.demo.narration import Narrator, Timed
from services.local.demo.scene import NAMESPACE, Scene
from services.local.demo.training import GENERATIONS, Trained, train
from services.local.folders import InstanceFolder, LocalError
from services.local.fronts import FRONTS
from services.local.instance import Instance

Models = dict[str, Trained]


def train_all(folder: Path, model: str) -> Models:
    """Train every generation. Runs in a thread while the servers start, because the imports take seconds."""
    return {name: train(generation, folder, model) for name, generation in GENERATIONS.items()}


async def acts(instance: Instance, narrator: Narrator, model: str, trained: Future[Models]) -> Scene:
    """Run the six acts."""
    async with AsyncExitStack() as closing:
        scene = Scene(
            instance, narrator, model, closing, await closing.enter_async_context(httpx.AsyncClient())
        )
        timed = Timed()
        await people.introduce(scene)
        narrator.line(f"{len(people.PEOPLE)} people and pipelines have keys and roles", timed.seconds)
        await _training(scene, trained)
        await _publishing_and_verdicts(scene)
        async with production.in_use(scene) as uses:
            await _production(scene, uses)
        counts = ", ".join(f"#{n}: {count}" for n, count in sorted(uses.items()))
        narrator.line(f"used meanwhile, and reported as ModelUsed: {counts}")
        narrator.act(5, "Cleanup: seconds instead of months")
        await cleaning.held(scene, "new schema")
        await cleaning.cleaned(scene, "new code")
        narrator.act(6, "Audit")
        await auditing.timeline(scene)
        await auditing.as_of(scene)
        await auditing.history(scene)
        await auditing.read_models_rebuilt(scene)
        return scene


async def _training(scene: Scene, trained: Future[Models]) -> None:
    scene.narrator.act(1, "Training: real models on real data")
    scene.trained = await asyncio.wrap_future(trained)
    for model in scene.trained.values():
        scene.narrator.line(
            f"{model.generation.story}: accuracy {model.accuracy:.3f}, "
            f"{model.path.stat().st_size} bytes of ONNX",
            model.seconds,
        )


async def _publishing_and_verdicts(scene: Scene) -> None:
    scene.narrator.act(2, f"Publishing {scene.model}: uploads, then signed messages on Kafka")
    for generation in publishing.GOOD:
        await publishing.publish_good(scene, generation)
        await verdicts.validated(
            scene, generation
        )  # the next version is compared with the newest validated one
    await publishing.publish_incomplete(scene)
    await publishing.publish_altered(scene)
    await publishing.publish_unreadable(scene)
    scene.narrator.act(3, "Verdicts: bytes against checksums, gates against policy")
    await verdicts.validated(scene, "incomplete")
    await verdicts.rejected(scene, "altered")


async def _production(scene: Scene, uses: Counter[int]) -> None:
    scene.narrator.act(4, "Production: reviews, traffic, rollback")
    await production.promoted(scene, "first")
    await production.worse_one(scene)
    await production.promoted(scene, "new code")
    await production.split(scene, "first", "new code")
    await production.switched(scene, "new code")
    await production.used(scene, uses, "new code")
    await production.rolled_back(scene, "first")
    await production.promoted(scene, "more data")
    await production.switched(scene, "more data")
    await production.used(scene, uses, "more data")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop everything at the end")
    parser.add_argument("--instance", default="main", help="which set of servers and services")
    chosen = parser.parse_args()
    folder, narrator = InstanceFolder.named(chosen.instance), Narrator()
    try:
        with lifecycle.stopping_when_interrupted(folder):
            run(folder, narrator, once=chosen.once)
    except (LocalError, RegistaError) as problem:
        print(f"\nThe demo stopped after {narrator.elapsed:.1f} s: {problem}", file=sys.stderr)
        if chosen.once:
            lifecycle.stop(folder)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stdout.flush()
        os._exit(130)  # does not wait for models in training
    if chosen.once:
        timed = Timed()
        narrator.line(f"stopped: {', '.join(lifecycle.stop(folder))}", timed.seconds)


def run(folder: InstanceFolder, narrator: Narrator, *, once: bool) -> None:
    """Start everything, run the acts, and print where things are."""
    model = f"{NAMESPACE}.biopsies-{secrets.token_hex(2)}"
    thread = ThreadPoolExecutor(1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        trained = thread.submit(train_all, Path(scratch), model)
        narrator.plain("Starting PostgreSQL, Kafka, an object store and five services with two fronts")
        instance = lifecycle.start(folder, 120.0, lifecycle.Progress(output=narrator.plain))
        scene = asyncio.run(acts(instance, narrator, model, trained))
        narrator.plain(f"\nDone in {narrator.elapsed:.1f} s.")
        if not once:
            _where(scene)


def _where(scene: Scene) -> None:
    narrator, instance = scene.narrator, scene.instance
    regista = Path(sys.executable).with_name("regista")
    narrator.plain("\nStill running:")
    for service, url in instance.urls.items():
        narrator.plain(f"  {service:<10} {url}{'' if service in FRONTS else '/openapi.json'}")
    narrator.plain(f"  {'store':<10} {instance.stack.store_url}")
    narrator.plain(
        f"\nLook at it: {instance.urls['console']}, signed in by a link, each in a private window:"
    )
    for who, person in people.PEOPLE.items():
        if person.kind == "person":
            narrator.plain(f"  {who:<8} {', '.join(person.roles):<19} {links.link(instance, who)}")
    narrator.plain(f"A link works once, within ten minutes. Another: {regista} console grace")
    narrator.plain(f"\nContinue as Ada:\n  export REGISTA_CONFIG={instance.profile_file} REGISTA_PROFILE=ada")
    narrator.plain(f"  {regista} versions list {scene.model}\n  {regista} status")
    others = "; ".join(f"{who}: {', '.join(person.roles)}" for who, person in people.PEOPLE.items())
    narrator.plain(f"Others, by --profile: admin; {others}.\nStop it with: make down")


if __name__ == "__main__":
    main()
