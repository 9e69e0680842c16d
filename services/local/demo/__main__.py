"""`make demo`, `python -m services.local.demo --once`: the whole story, then the URLs of what is still running."""

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
from services.local import running
from services.local.demo import auditing, cleaning, people, production, publishing, verdicts
from services.local.demo.scene import NAMESPACE, Scene
from services.local.demo.telling import Teller, Timed
from services.local.demo.training import GENERATIONS, Trained, train
from services.local.instance import Instance
from services.local.places import LocalError, Place

Models = dict[str, Trained]


def train_all(folder: Path, model: str) -> Models:
    """Every generation; runs in a thread while the servers start, because the imports alone take seconds."""
    return {name: train(generation, folder, model) for name, generation in GENERATIONS.items()}


async def story(instance: Instance, tell: Teller, model: str, trained: Future[Models]) -> Scene:
    """The six acts."""
    async with AsyncExitStack() as closing:
        scene = Scene(instance, tell, model, closing, await closing.enter_async_context(httpx.AsyncClient()))
        timed = Timed()
        await people.introduce(scene)
        tell.line(f"{len(people.PEOPLE)} people and pipelines have keys and roles", timed.seconds)
        await _training(scene, trained)
        await _publishing_and_verdicts(scene)
        async with production.in_use(scene) as uses:
            await _production(scene, uses)
        tell.line(
            f"meanwhile used, and reported as ModelUsed: {', '.join(f'#{n}: {count}' for n, count in sorted(uses.items()))}"
        )
        tell.act(5, "Cleanup: seconds instead of months")
        await cleaning.held(scene, "new schema")
        await cleaning.cleaned(scene, "new code")
        tell.act(6, "The auditor's part")
        await auditing.timeline(scene)
        await auditing.as_of(scene)
        await auditing.history(scene)
        await auditing.read_models_rebuilt(scene)
        return scene


async def _training(scene: Scene, trained: Future[Models]) -> None:
    scene.tell.act(1, "Training: real models on real data")
    scene.trained = await asyncio.wrap_future(trained)
    for model in scene.trained.values():
        scene.tell.line(
            f"{model.generation.story}: accuracy {model.accuracy:.3f}, {model.path.stat().st_size} bytes of ONNX",
            model.seconds,
        )


async def _publishing_and_verdicts(scene: Scene) -> None:
    scene.tell.act(2, f"Publishing {scene.model}: uploads, then signed messages on Kafka")
    for generation in publishing.GOOD:
        await publishing.publish_good(scene, generation)
        await verdicts.validated(
            scene, generation
        )  # the next one is compared with the newest that was validated
    await publishing.publish_forgetful(scene)
    await publishing.publish_altered(scene)
    await publishing.publish_nonsense(scene)
    scene.tell.act(3, "Verdicts: bytes against checksums, gates against policy")
    await verdicts.validated(scene, "forgetful")
    await verdicts.rejected(scene, "altered")


async def _production(scene: Scene, uses: Counter[int]) -> None:
    scene.tell.act(4, "Production: reviews, traffic, rollback")
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
    place, tell = Place.named(chosen.instance), Teller()
    try:
        with running.stopping_when_interrupted(place):
            told(place, tell, once=chosen.once)
    except (LocalError, RegistaError) as problem:
        print(f"\nThe story stopped after {tell.elapsed:.1f} s: {problem}", file=sys.stderr)
        if chosen.once:
            running.stop(place)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stdout.flush()
        os._exit(130)  # the models still in training are not waited for
    if chosen.once:
        timed = Timed()
        tell.line(f"stopped: {', '.join(running.stop(place))}", timed.seconds)


def told(place: Place, tell: Teller, *, once: bool) -> None:
    """Starts everything, tells the story, says where things are."""
    model = f"{NAMESPACE}.biopsies-{secrets.token_hex(2)}"
    thread = ThreadPoolExecutor(1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        trained = thread.submit(train_all, Path(folder), model)
        tell.plain("Starting PostgreSQL, Kafka, S3 and five services")
        instance = running.start(place, 120.0, running.Progress(say=tell.plain))
        scene = asyncio.run(story(instance, tell, model, trained))
        tell.plain(f"\nTold in {tell.elapsed:.1f} s.")
        if not once:
            _where(scene)


def _where(scene: Scene) -> None:
    tell, instance = scene.tell, scene.instance
    regista = Path(sys.executable).with_name("regista")
    tell.plain("\nStill running:")
    for service, url in instance.urls.items():
        tell.plain(f"  {service:<10} {url}/openapi.json")
    tell.plain(f"  {'S3':<10} http://{instance.stack.s3.endpoint}")
    tell.plain(f"\nGo on as Ada:\n  export REGISTA_CONFIG={instance.profile_file} REGISTA_PROFILE=ada")
    tell.plain(f"  {regista} versions list {scene.model}\n  {regista} status")
    others = "; ".join(f"{who}: {', '.join(person.roles)}" for who, person in people.PEOPLE.items())
    tell.plain(f"Others, by --profile: admin; {others}.\nStop it with: make down")


if __name__ == "__main__":
    main()
